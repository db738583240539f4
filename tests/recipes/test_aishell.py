"""AISHELL-1: speakers packed or unpacked, Chinese words, the lexicon beside it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.recipes.fakes import left_out, lines, prepared, read, tone

PEOPLE = {"S0002": "train", "S0003": "train", "S0724": "dev", "S0764": "test"}


def _fake(root: Path, packed: bool) -> None:
    corpus = root / "data_aishell"
    texts = [f"BAC009{speaker}W0122 而 对  楼市" for speaker in PEOPLE]
    lines(corpus / "transcript" / "aishell_transcript_v0.8.txt", *texts)
    for speaker, split in PEOPLE.items():
        wav = corpus / "wav" / split / speaker / f"BAC009{speaker}W0122.wav"
        tone(wav)
        if packed:
            with tarfile.open(corpus / "wav" / f"{speaker}.tar.gz", "w:gz") as archive:
                archive.add(wav, f"{split}/{speaker}/{wav.name}")
            wav.unlink()
            wav.parent.rmdir()
    lines(
        root / "resource_aishell" / "lexicon.txt", "SIL sil", "<SPOKEN_NOISE> sil", "而 ee er2", "对 d ui4", "对 d ui4"
    )


@pytest.mark.parametrize("packed", [True, False])
def test_prepare_fake_has_the_published_sets(tmp_path: Path, packed: bool) -> None:
    _fake(tmp_path / "in", packed)
    for _ in range(2):  # a second time nothing is unpacked
        report, splits = prepared("aishell", tmp_path, tmp_path / "in")
        assert splits == {
            split: [(f"BAC009{s}W0122", "而 对 楼市") for s, where in PEOPLE.items() if where == split]
            for split in ("train", "dev", "test")
        }
    assert [u.speaker for u in read(report, "train")] == ["S0002", "S0003"]
    assert (tmp_path / "out" / "lexicon.txt").read_text(encoding="utf-8") == "而 ee er2\n对 d ui4\n"
    assert (tmp_path / "out" / "speakers").is_dir() == packed
    assert report.left_out == []


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in", packed=False)
    tone(tmp_path / "in" / "data_aishell" / "wav" / "train" / "S0002" / "BAC009S0002W0999.wav")
    path = tmp_path / "in" / "data_aishell" / "transcript" / "aishell_transcript_v0.8.txt"
    with path.open("a", encoding="utf-8") as file:
        file.write("BAC009S0002W0500 而\nBAC009S0002W0501\n")
    report, splits = prepared("aishell", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("", "line 6"),
        ("BAC009S0002W0999", "no transcript names it"),
        ("BAC009S0002W0500", "no audio has this name"),
    ]
    assert len(splits["train"]) == 2
