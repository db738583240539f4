"""FSDD: the official test set, a development set beside it, and each speaker left out once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import Preparation, prepare_corpus

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def test_prepare_fake_files_go_where_their_take_says(tmp_path: Path) -> None:
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for name in ("3_ann_0", "3_ann_4", "7_bob_5", "0_bob_9", "9_bob_10"):
        soundfile.write(folder / f"{name}.wav", np.full(4000, 0.1), 8000)
    (folder / "notes.txt").touch()
    report = prepare_corpus("fsdd", tmp_path, tmp_path / "out")
    found = {split: [(u.utt_id, u.text) for u in _read(report, split)] for split in ("train", "dev", "test")}
    assert found == {
        "train": [("9_bob_10", "nine")],
        "dev": [("0_bob_9", "zero"), ("7_bob_5", "seven")],
        "test": [("3_ann_0", "three"), ("3_ann_4", "three")],
    }
    assert [u.utt_id for u in _read(report, "loso_ann/train")] == ["0_bob_9", "7_bob_5", "9_bob_10"]
    assert [u.utt_id for u in _read(report, "loso_ann/test")] == ["3_ann_0", "3_ann_4"]
    assert [u.utt_id for u in _read(report, "loso_bob/dev")] == ["3_ann_0", "3_ann_4"]
    assert [bad.utt_id for bad in report.left_out] == ["notes"]


def _read(report: Preparation, split: str) -> list:
    path = report.manifests[split]
    return read_manifest(path) if path.stat().st_size else []


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    return prepare_corpus("fsdd", shared / "corpora" / "fsdd", tmp_path_factory.mktemp("fsdd"))


def test_prepare_real_official_split_has_its_counts(real: Preparation) -> None:
    counts = {split: real.counts[split].utterances for split in ("train", "dev", "test")}
    assert counts == {"train": 2400, "dev": 300, "test": 300}
    assert sum(real.counts[split].hours for split in counts) == pytest.approx(0.365, abs=5e-4)
    assert real.left_out == []
    for utterance in _read(real, "test"):
        assert int(utterance.utt_id.rpartition("_")[2]) < 5


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_prepare_real_speaker_left_out_is_tested_whole_and_never_trained(real: Preparation, speaker: str) -> None:
    train, dev, test = (_read(real, f"loso_{speaker}/{split}") for split in ("train", "dev", "test"))
    assert (len(train), len(dev), len(test)) == (2250, 250, 500)
    assert {u.speaker for u in test} == {speaker}
    assert {u.speaker for u in train} == {u.speaker for u in dev} == set(SPEAKERS) - {speaker}
    assert len({u.utt_id for u in [*train, *dev, *test]}) == 3000
