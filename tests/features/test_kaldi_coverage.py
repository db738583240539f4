"""Every array that Kaldi made is compared by a test: the table says by which one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from kaldi_arrays import KaldiArrays

from . import test_cmvn, test_fbank, test_mfcc

TESTS = Path(__file__).resolve().parents[1]
WHOLE_FILES = {  # these tests fail if an array of the file is neither reproduced nor an input
    "fmllr_basis.npz": "features/test_fmllr_basis.py::test_basis_every_array_equals_kaldi",
    "fmllr_hmm.npz": "features/test_fmllr_oracles.py::test_fmllr_every_array_of_tied_states_equals_kaldi",
    "fmllr_large.npz": "features/test_fmllr_oracles.py::test_fmllr_every_large_array_equals_kaldi",
    "fmllr_small.npz": "features/test_fmllr_oracles.py::test_fmllr_every_small_array_equals_kaldi",
    "gmm_em.npz": "hmm/test_gmm_update.py::test_update_every_array_equals_kaldi",
    "hmm_align.npz": "hmm/test_align_oracles.py::test_align_every_array_equals_kaldi",
    "lda_mllt.npz": "features/test_lda_mllt.py::test_lda_mllt_every_array_equals_kaldi",
}
FBANKS = "|".join(test_fbank.COVERED | test_fbank.OPTIONS)
FEATS = {  # pattern of the arrays in feats.npz
    r"wav(8k|16k)/": "inputs",
    rf"({'|'.join(test_mfcc.COVERED)})/": "features/test_mfcc.py::test_mfcc_each_setting_equals_kaldi",
    rf"({FBANKS})/": "features/test_fbank.py::test_fbank_each_setting_equals_kaldi",
    r"8k/post/add_deltas(_o1w3)?/": "features/test_deltas.py::test_add_deltas_each_setting_equals_kaldi",
    r"8k/post/splice(4|_l2r1)/": "features/test_splice.py::test_splice_each_setting_equals_kaldi",
    r"8k/post/cmvn_stats_spk/": "features/test_cmvn.py::test_cmvn_stats_of_a_speaker_equal_kaldi",
    r"8k/post/cmvn_spk_mean(var)?/": "features/test_cmvn.py::test_cmvn_normalize_equals_kaldi",
    rf"8k/post/({'|'.join(test_cmvn.SLIDING)})/": "features/test_cmvn.py::test_normalize_sliding_equals_kaldi",
    r"archives/ark_(float_binary|compressed|compressed_m2|compressed_m3|text)(_decoded/|$)": (
        "data/test_kaldi_io.py::test_read_feats_archive_of_kaldi_equals_what_kaldi_reads"
    ),
}


def test_coverage_every_file_and_array_has_its_test(shared: Path) -> None:
    folder = shared / "oracles" / "fmllr"
    assert {path.name for path in folder.glob("*.npz")} == {*WHOLE_FILES, "feats.npz"}
    with np.load(folder / "feats.npz") as arrays:
        names = set(arrays)
    assert not {name for name in names if not any(re.match(pattern, name) for pattern in FEATS)}
    assert not {pattern for pattern in FEATS if not any(re.match(pattern, name) for name in names)}


def test_coverage_named_tests_exist() -> None:
    for test in {*WHOLE_FILES.values(), *FEATS.values()} - {"inputs"}:
        path, name = test.split("::")
        assert f"def {name}(" in (TESTS / path).read_text(encoding="utf-8"), test


@pytest.fixture
def arrays(tmp_path: Path) -> KaldiArrays:
    (tmp_path / "oracles" / "fmllr").mkdir(parents=True)
    np.savez(
        tmp_path / "oracles" / "fmllr" / "some.npz", **{"x": np.arange(3.0), "out/y": np.ones(2), "out/z": np.ones(2)}
    )
    found = KaldiArrays(tmp_path, "some.npz")
    assert found["x"].tolist() == [0, 1, 2]
    return found


@pytest.mark.parametrize(
    ("got", "problem"),
    [
        ({"out/y": [1, 1]}, r"not reproduced, and no input either: \['out/z'\]"),
        ({"out/y": [1, 1], "out/z": [1, 1.002]}, "out/z: 2.0e-03, at most 1e-03 expected"),
        ({"out/y": [1, 1], "out/z": [1, torch.nan]}, "out/z: nan"),
        ({"out/y": [1, 1], "out/z": [1, 1, 1]}, r"out/z: shape \(3,\), expected \(2,\)"),
        ({"out/y": [1, 1], "out/z": [1, 1], "other": [1]}, r"no such arrays: \['other'\]"),
    ],
)
def test_check_all_missing_or_wrong_array_fails(arrays: KaldiArrays, got: dict[str, list[float]], problem: str) -> None:
    results = {name: torch.tensor(values, dtype=torch.float64) for name, values in got.items()}
    with pytest.raises(AssertionError, match=problem):
        arrays.check_all(results, {"": 1e-3}, inputs="x")


def test_check_all_input_that_was_not_taken_fails(arrays: KaldiArrays) -> None:
    results = {"out/y": torch.ones(2).double()}
    with pytest.raises(AssertionError, match="no input either"):
        arrays.check_all(results, {"": 1e-3}, inputs="x|out/z")
    arrays.check_all(results | {"out/z": torch.ones(2).double()}, {"": 1e-3}, inputs="x")
