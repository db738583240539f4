"""LJ Speech: the table, spelled out, with whole parts held out."""

from __future__ import annotations

from pathlib import Path

from tests.recipes.fakes import left_out, lines, prepared, tone


def _fake(root: Path) -> None:
    names = ("LJ001-0001", "LJ001-0002", "LJ048-0001", "LJ049-0001", "LJ050-0001")
    rows = (f'{name}|Dr. Who, 3 "times|Doctor Who, three "times' for name in names)
    lines(root / "LJSpeech-1.1" / "metadata.csv", *rows)
    for name in names:
        tone(root / "LJSpeech-1.1" / "wavs" / f"{name}.wav", rate_hz=22050)


def test_prepare_fake_holds_out_the_last_parts(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    report, splits = prepared("ljspeech", tmp_path, tmp_path / "in")
    text = 'Doctor Who, three "times'
    assert splits == {
        "train": [("LJ001-0001", text), ("LJ001-0002", text), ("LJ048-0001", text)],
        "dev": [("LJ049-0001", text)],
        "test": [("LJ050-0001", text)],
    }
    assert report.left_out == []


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    tone(tmp_path / "in" / "LJSpeech-1.1" / "wavs" / "LJ001-0009.wav")
    with (tmp_path / "in" / "LJSpeech-1.1" / "metadata.csv").open("a", encoding="utf-8") as file:
        file.write("LJ001-0003|Lost\nLJ1|x|y\n")
    report, splits = prepared("ljspeech", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("", "line 7"),
        ("LJ001-0009", "no transcript names it"),
        ("LJ001-0003", "cannot open audio file"),
    ]
    assert len(splits["train"]) == 3
