"""Speech Commands: the lists decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import resources
from tests.recipes.fakes import left_out, lines, prepared, read, tone


def _fake(root: Path) -> None:
    for name in ("yes/0a7c_nohash_0", "yes/0a7c_nohash_1", "no/1b00_nohash_0", "no/2c22_nohash_0", "bed/0a7c_nohash_0"):
        tone(root / f"{name}.wav")
    tone(root / "_background_noise_" / "pink_noise.wav", 2.0)
    lines(root / "validation_list.txt", "no/1b00_nohash_0.wav")
    lines(root / "testing_list.txt", "no/2c22_nohash_0.wav")


def test_prepare_fake_lists_decide(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    report, splits = prepared("speech_commands", tmp_path, tmp_path / "in")
    assert splits == {
        "train": [("bed_0a7c_nohash_0", "bed"), ("yes_0a7c_nohash_0", "yes"), ("yes_0a7c_nohash_1", "yes")],
        "dev": [("no_1b00_nohash_0", "no")],
        "test": [("no_2c22_nohash_0", "no")],
    }
    assert {u.speaker for u in read(report, "train")} == {"0a7c"}
    assert report.notes == ["1 recordings of noise in _background_noise_ are not speech"]
    assert report.left_out == []


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    tone(tmp_path / "in" / "yes" / "hello.wav")
    lines(tmp_path / "in" / "testing_list.txt", "no/2c22_nohash_0.wav", "no/9f99_nohash_0.wav")
    report, splits = prepared("speech_commands", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("hello", "not named speaker_nohash_take.wav"),
        ("no_9f99_nohash_0", "cannot open audio file"),
    ]
    assert len(splits["test"]) == 2


def test_checksums_are_those_torchaudio_states() -> None:
    from asr_ligru.torchaudio_import import ensure

    ensure()
    from torchaudio.datasets import speechcommands as published

    stated = {url.rpartition("/")[2]: digest for url, digest in published._CHECKSUMS.items()}
    archives = resources.recipe_module("speech_commands").ARCHIVES
    assert {archive.name: archive.digest for archive in archives} == stated


@pytest.mark.parametrize(("corpus", "name"), [("ljspeech", "LJSpeech-1.1.tar.bz2"), ("vctk", "VCTK-Corpus-0.92.zip")])
def test_checksum_of_one_archive_is_the_one_torchaudio_states(corpus: str, name: str) -> None:
    from asr_ligru.torchaudio_import import ensure

    ensure()
    from torchaudio.datasets import ljspeech, vctk

    release = ljspeech._RELEASE_CONFIGS["release1"]
    stated = {release["url"]: release["checksum"], **vctk._CHECKSUMS}
    (archive,) = resources.recipe_module(corpus).ARCHIVES
    assert archive.name == name
    assert archive.digest == stated[archive.url]
