"""CHiME-4: one channel to train on, the one-channel track or the fifth channel to test on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.fakes import left_out, lines, prepared, read, tone

NAMES = {
    "tr05_bus_real": "F01_22GC010A_BUS",
    "tr05_str_simu": "M02_22HC010B_STR",
    "dt05_caf_real": "F04_22GC010C_CAF",
    "et05_ped_real": "M05_440C020A_PED",
    "et05_ped_simu": "M06_440C020B_PED",
}


def _fake(root: Path, track: bool) -> None:
    for folder, name in NAMES.items():
        lines(root / "transcriptions" / folder / f"{name}.trn", f"{name} THE  END")
        for channel in (1, 5):
            tone(root / "audio" / "16kHz" / "isolated" / folder / f"{name}.CH{channel}.wav")
        if track and not folder.startswith("tr"):
            tone(root / "audio" / "16kHz" / "isolated_1ch_track" / folder / f"{name}.wav")


@pytest.mark.parametrize("track", [True, False])
def test_prepare_fake_has_real_and_simulated_sets(tmp_path: Path, track: bool) -> None:
    _fake(tmp_path / "in" / "CHiME3" / "data", track)
    report, splits = prepared("chime4", tmp_path, tmp_path / "in")
    assert splits == {
        "train": [("F01_22GC010A_BUS_REAL", "THE END"), ("M02_22HC010B_STR_SIMU", "THE END")],
        "dev": [("F04_22GC010C_CAF_REAL", "THE END")],
        "dev_simu": [],
        "test": [("M05_440C020A_PED_REAL", "THE END")],
        "test_simu": [("M06_440C020B_PED_SIMU", "THE END")],
    }
    (tested,) = read(report, "test")
    assert tested.audio_path.name == ("M05_440C020A_PED.wav" if track else "M05_440C020A_PED.CH5.wav")
    assert tested.speaker == "M05"
    assert report.left_out == []


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in", track=True)
    audio = tmp_path / "in" / "audio" / "16kHz"
    (audio / "isolated_1ch_track" / "et05_ped_real" / f"{NAMES['et05_ped_real']}.wav").unlink()
    tone(audio / "isolated" / "tr05_bus_real" / "F01_22GC010Z_BUS.CH5.wav")
    lines(tmp_path / "in" / "transcriptions" / "dt05_caf_real" / "F04_22GC010D_CAF.trn", "F04_22GC010D_CAF")
    report, splits = prepared("chime4", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("F01_22GC010Z_BUS.CH5", "no transcript names it"),
        ("F04_22GC010D_CAF", "expected a line `ID WORDS`, named speaker_sentence_place"),
        ("M05_440C020A_PED_REAL", "cannot open audio file"),
    ]
    assert len(splits["test"]) == 1
