"""Damaged archives, manifests and lexicons: each is refused by line or key, or what is accepted is sound."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.errors import DataError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
TOOL = importlib.import_module("fuzz_readers")


@pytest.mark.parametrize("name", TOOL.READERS)
def test_readers_100_damaged_files_are_refused_or_sound(name: str) -> None:
    counts, lost = TOOL.fuzz(name, 100, seed=1)
    assert lost == []
    assert counts["refused"] > 20
    assert counts["accepted"] + counts["refused"] == 100


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TOOL.READERS)
def test_readers_full_count_of_damaged_files_are_refused_or_sound(name: str) -> None:
    assert TOOL.fuzz(name, TOOL.READERS[name].cases, seed=1)[1] == []


def _raise(error: BaseException) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (DataError("bad", where="x, line 3"), "refused"),
        (DataError("bad"), "names neither line nor key"),
        (DataError("line 3: \x1b[2J"), "a control character"),
        (KeyError("x"), "KeyError"),
        (AssertionError("not finite"), "not finite"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_outcome_of_a_faulty_reader_is_lost(tmp_path: Path, error: BaseException, seen: str) -> None:
    reader = TOOL.Reader(1, list, (), _raise(error))
    assert seen in TOOL.outcome(reader, b"", tmp_path)
