"""Mini LibriSpeech: official and stand-in held-out parts, cut by speakers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import Preparation, prepare_corpus


def _fake(root: Path, part: str, speakers: list[str]) -> None:
    for speaker in speakers:
        chapter = root / part / speaker / "7"
        chapter.mkdir(parents=True)
        soundfile.write(chapter / f"{speaker}-7-0000.flac", np.full(8000, 0.1), 16000)
        (chapter / f"{speaker}-7.trans.txt").write_text(f"{speaker}-7-0000 IT'S  {speaker}\n", encoding="utf-8")


def _speakers(report: Preparation, split: str) -> set[str]:
    return {u.speaker for u in read_manifest(report.manifests[split])}


@pytest.mark.parametrize("part", ["dev-clean-2", "dev-clean-5"])
@pytest.mark.parametrize("above", ["", "LibriSpeech"])
def test_prepare_fake_layouts(tmp_path: Path, part: str, above: str) -> None:
    root = tmp_path / "in" / above
    _fake(root, "train-clean-5", ["10"])
    _fake(root, part, ["20", "3", "4", "100"])
    report = prepare_corpus("mini_librispeech", tmp_path / "in", tmp_path / "out")
    assert _speakers(report, "train") == {"10"}
    assert _speakers(report, "dev") == {"3", "20"}
    assert _speakers(report, "test") == {"4", "100"}
    assert read_manifest(report.manifests["train"])[0].utt_id == "10-7-0000"


def test_prepare_fake_downloads_unpacked_apart_are_found(tmp_path: Path) -> None:
    _fake(tmp_path / "in" / "unpacked-0" / "LibriSpeech", "train-clean-5", ["10"])
    _fake(tmp_path / "in" / "unpacked-1" / "LibriSpeech", "dev-clean-2", ["3", "4"])
    report = prepare_corpus("mini_librispeech", tmp_path / "in", tmp_path / "out")
    assert [count.utterances for count in report.counts.values()] == [1, 1, 1]


def test_prepare_fake_sexes_are_shared_evenly(tmp_path: Path) -> None:
    _fake(tmp_path, "train-clean-5", ["10"])
    _fake(tmp_path, "dev-clean-2", ["1", "2", "3", "4"])
    table = ";ID |SEX| SUBSET\n1 | F | x\n2 | M | x\n3 | F | x\n4 | M | x\n"
    (tmp_path / "SPEAKERS.TXT").write_text(table, encoding="utf-8")
    report = prepare_corpus("mini_librispeech", tmp_path, tmp_path / "out")
    assert _speakers(report, "dev") == {"1", "2"}
    assert _speakers(report, "test") == {"3", "4"}


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path, "train-clean-5", ["10"])
    _fake(tmp_path, "dev-clean-2", ["3", "4"])
    chapter = tmp_path / "train-clean-5" / "10" / "7"
    soundfile.write(chapter / "10-7-0001.flac", np.full(8000, 0.1), 16000)
    with (chapter / "10-7.trans.txt").open("a", encoding="utf-8") as file:
        file.write("no id\n10-7-0002 NO FILE\n")
    report = prepare_corpus("mini_librispeech", tmp_path, tmp_path / "out")
    assert [bad.utt_id for bad in report.left_out] == ["", "10-7-0001", "10-7-0002"]


def test_prepare_real_counts_and_speakers(shared: Path, tmp_path: Path) -> None:
    report = prepare_corpus("mini_librispeech", shared / "corpora" / "mini_librispeech", tmp_path)
    assert [count.utterances for count in report.counts.values()] == [401, 29, 29]
    assert report.counts["train"].hours == pytest.approx(1.362, abs=5e-4)
    assert report.counts["train"].speakers == 16
    assert _speakers(report, "dev") | _speakers(report, "test") == {"669", "3664", "5789", "7312"}
    assert not _speakers(report, "dev") & _speakers(report, "test")
    assert report.left_out == []
    sexes = {}
    table = shared / "corpora" / "mini_librispeech" / "LibriSpeech" / "SPEAKERS.TXT"
    for line in table.read_text(encoding="utf-8").splitlines():
        if not line.startswith(";"):
            speaker, sex = (field.strip() for field in line.split("|")[:2])
            sexes[speaker] = sex
    for split in ("dev", "test"):
        assert sorted(sexes[speaker] for speaker in _speakers(report, split)) == ["F", "M"]
