"""LibriSpeech: each part, and training sets of three sizes with the official held-out parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import resources
from asr_ligru.data.prepare import prepare_corpus
from asr_ligru.data.validate import validate_corpus
from asr_ligru.errors import DataError
from tests.recipes.fakes import left_out, librispeech, librispeech_part, prepared

SIZES = {"100": 3, "460": 5, "960": 7}


def test_prepare_fake_has_parts_and_training_sets(tmp_path: Path) -> None:
    report, splits = prepared("librispeech", tmp_path)
    sizes = {split: len(found) for split, found in splits.items()}
    held_out = {"dev": 1, "test": 1, "dev_other": 1, "test_other": 1}
    expected = {
        f"{hours}/{split}": n for hours, size in SIZES.items() for split, n in ({"train": size} | held_out).items()
    }
    parts = {"train_clean_100": 3, "train_clean_360": 2, "train_other_500": 2}
    assert sizes == expected | parts | {"dev_clean": 1, "dev_other": 1, "test_clean": 1, "test_other": 1}
    assert splits["100/dev"] == splits["dev_clean"] == [("1-7-0000", "IT'S  SO")]
    assert splits["960/test_other"] == [("4-7-0000", "IT'S  SO")]
    assert report.left_out == []
    for hours in SIZES:
        assert validate_corpus(tmp_path / "out" / hours).num_errors == 0
        lexicon = (tmp_path / "out" / hours / "lexicon.txt").read_text(encoding="utf-8")
        assert lexicon == "IT'S IH1 T S\nIT'S IH0 T S\nSO S OW1\n"


def test_prepare_fake_of_some_parts_says_what_is_absent(tmp_path: Path) -> None:
    librispeech_part(tmp_path / "unpacked-0", "train-clean-100", "10")
    librispeech_part(tmp_path / "unpacked-3", "dev-clean", "1")
    report = prepare_corpus("librispeech", tmp_path, tmp_path / "out")
    assert list(report.counts) == ["train_clean_100", "dev_clean", "100/train", "100/dev"]
    assert report.notes == ["not there: train-clean-360, train-other-500, dev-other, test-clean, test-other"]


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    librispeech(tmp_path / "in")
    chapter = tmp_path / "in" / "LibriSpeech" / "train-other-500" / "30" / "7"
    with (chapter / "30-7.trans.txt").open("a", encoding="utf-8") as file:
        file.write("30-8 NO NUMBER\n30-7-0001 NO FILE\n")
    (chapter / "30-7-0009.flac").write_bytes((chapter / "30-7-0000.flac").read_bytes())
    report = prepare_corpus("librispeech", tmp_path / "in", tmp_path / "out")
    assert left_out(report) == [
        ("", "line 2"),
        ("30-7-0009", "no transcript names it"),
        ("30-7-0001", "cannot open audio file"),
    ]
    assert report.counts["960/train"].utterances == 7


def test_prepare_without_any_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-clean-5").mkdir()
    with pytest.raises(DataError, match="expected train-clean-100 or"):
        prepare_corpus("librispeech", tmp_path, tmp_path / "out")


def test_checksums_are_those_torchaudio_states() -> None:
    from asr_ligru.torchaudio_import import ensure

    ensure()
    from torchaudio.datasets import librispeech as published

    archives = resources.recipe_module("librispeech").ARCHIVES
    stated = {archive.url.replace("https", "http"): archive.digest for archive in archives if archive.digest}
    assert stated == published._CHECKSUMS
