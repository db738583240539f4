"""VoxForge: submissions with their prompts, cut by speakers."""

from __future__ import annotations

from pathlib import Path

from tests.recipes.fakes import left_out, lines, prepared, read, tone


def _fake(root: Path) -> None:
    for number, name in enumerate(("ann", "bob", "anonymous", "eve")):
        folder = root / f"{name}-2007010{number}-ab{number}"
        kind = "flac" if name == "eve" else "wav"
        lines(folder / "etc" / "PROMPTS", f"{folder.name}/mfc/a0001 DAS IST SO", "*/mfc/a0002 JA")
        for sentence in ("a0001", "a0002"):
            tone(folder / kind / f"{sentence}.{kind}", rate_hz=8000 if name == "bob" else 16000)


def test_prepare_fake_has_every_submission_and_no_speaker_twice(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    report, splits = prepared("voxforge", tmp_path, tmp_path / "in")
    speakers = {split: {u.speaker for u in read(report, split)} for split in splits}
    assert set.union(*speakers.values()) == {"ann", "bob", "anonymous-20070102-ab2", "eve"}
    assert sum(len(found) for found in speakers.values()) == 4
    assert [len(found) for found in splits.values()] == [4, 2, 2]
    every = dict(text for found in splits.values() for text in found)
    assert every["ann-20070100-ab0-a0001"] == "DAS IST SO"
    assert report.left_out == []


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    folder = tmp_path / "in" / "ann-20070100-ab0"
    (folder / "wav" / "a0002.wav").unlink()
    tone(folder / "wav" / "a0003.wav")
    with (folder / "etc" / "PROMPTS").open("a", encoding="utf-8") as file:
        file.write("lonely\n")
    (tmp_path / "in" / "bob-20070101-ab1" / "etc" / "PROMPTS").unlink()
    report, _ = prepared("voxforge", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("", "line 3"),
        ("a0003", "no transcript names it"),
        ("a0001", "no transcript names it"),
        ("a0002", "no transcript names it"),
        ("ann-20070100-ab0-a0002", "cannot open audio file"),
    ]
