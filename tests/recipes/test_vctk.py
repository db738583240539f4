"""VCTK: both of its forms, cut by speakers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.fakes import left_out, lines, prepared, read, tone

FORMS = {"wav48_silence_trimmed": ["_mic1.flac", "_mic2.flac"], "wav48": [".wav"]}


def _fake(root: Path, folder: str) -> None:
    for speaker in ("p225", "p226", "p227", "s5"):
        lines(root / "txt" / speaker / f"{speaker}_001.txt", "Please call  Stella.")
        for ending in FORMS[folder]:
            tone(root / folder / speaker / f"{speaker}_001{ending}", rate_hz=48000)


@pytest.mark.parametrize("folder", FORMS)
def test_prepare_fake_has_every_speaker_once(tmp_path: Path, folder: str) -> None:
    _fake(tmp_path / "in" / "VCTK-Corpus", folder)
    report, splits = prepared("vctk", tmp_path, tmp_path / "in")
    assert {text for found in splits.values() for text in found} == {
        (f"{speaker}_001", "Please call Stella.") for speaker in ("p225", "p226", "p227", "s5")
    }
    assert [len(found) for found in splits.values()] == [2, 1, 1]
    assert {u.audio_path.name.partition("_001")[2] for u in read(report, "train")} == {FORMS[folder][0]}
    assert report.left_out == []


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in", "wav48")
    tone(tmp_path / "in" / "wav48" / "p315" / "p315_001.wav")
    lines(tmp_path / "in" / "txt" / "p225" / "p225_002.txt", "Lost.")
    (tmp_path / "in" / "txt" / "p226" / "p226_002.txt").write_bytes(b"\xff\xfe")
    report, _ = prepared("vctk", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("p226_002", "expected UTF-8 text, got byte 0xff at position 0"),
        ("p315_001", "no transcript names it"),
        ("p225_002", "cannot open audio file"),
    ]
