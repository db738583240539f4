"""Damaged audio files of every codec: each is refused by name, or what is accepted is sound."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
TOOL = importlib.import_module("fuzz_audio")


def test_read_300_damaged_files_are_refused_or_sound() -> None:
    found = TOOL.fuzz(300, seed=1)
    assert found["lost"] == []
    assert found["counts"]["refused"] > 100
    assert sum(found["counts"].values()) == 300


@pytest.mark.fuzz
def test_read_20000_damaged_files_are_refused_or_sound() -> None:
    assert TOOL.fuzz(20000, seed=1)["lost"] == []


def test_fuzz_goes_on_where_its_state_says(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    TOOL.fuzz(20, seed=3, state=state)
    assert TOOL.fuzz(40, seed=3, state=state) == TOOL.fuzz(40, seed=3)
    with pytest.raises(AssertionError, match="has seed 3"):
        TOOL.fuzz(40, seed=4, state=state)


@pytest.mark.parametrize(
    ("returned", "seen"),
    [
        (torch.tensor([float("nan")]), "not sound"),
        (torch.tensor([1.5]), "not sound"),
        (torch.empty(0), "not sound"),
        (torch.zeros(3, dtype=torch.float64), "not sound"),
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
    ],
)
def test_outcome_of_a_faulty_reader_counts_as_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, returned: object, seen: str
) -> None:
    def read(path: Path, **options: object) -> object:
        if isinstance(returned, Exception):
            raise returned
        return returned

    monkeypatch.setattr(TOOL.audio, "read", read)
    assert seen in TOOL.outcome(tmp_path / "x")


def test_run_cases_one_death_and_one_hang_cost_a_case_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "log").touch()

    def outcome(path: Path) -> str:
        with (tmp_path / "log").open("a") as log:
            log.write("x")
        number = (tmp_path / "log").stat().st_size
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 5:
            signal.pause()
        return "accepted"

    monkeypatch.setattr(TOOL, "outcome", outcome)
    monkeypatch.setattr(TOOL, "HANG_SECONDS", 3.0)
    monkeypatch.setattr(TOOL, "seeds", lambda: [b"x"])
    assert list(TOOL.run_cases(range(6), 1, tmp_path)) == [
        (0, "accepted"),
        (1, "accepted"),
        (2, "died with -9"),
        (3, "accepted"),
        (4, "hangs"),
        (5, "accepted"),
    ]
