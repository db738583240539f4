"""Which cells a configuration can name, and where they are described."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from encoder_case import INPUT_SIZE

from asr_ligru import resources
from asr_ligru.config import CellConfig
from asr_ligru.nn import CELLS, build_encoder

CELL_FILES = sorted((resources.folder("conf") / "cell").glob("*.yaml"))


@functools.cache
def _composed(choice: str) -> CellConfig:
    from asr_ligru.compose import compose  # not above: hydra is absent where only the tests for a GPU are run

    return compose([f"cell={choice}"]).cell


@pytest.mark.parametrize("file", CELL_FILES, ids=lambda file: file.stem)
def test_cell_file_composes_and_builds(file: Path) -> None:
    composed = _composed(file.stem)
    assert composed.name in CELLS
    model = build_encoder(INPUT_SIZE, composed)
    assert model.output_size == (1 if composed.name == "ubru" else 2) * composed.hidden_size


def test_cell_files_cover_every_cell() -> None:
    assert {_composed(file.stem).name for file in CELL_FILES} == set(CELLS)


@pytest.mark.parametrize("cell", list(CELLS))
def test_cell_is_in_the_table_of_all(cell: str) -> None:
    table = (Path(__file__).parents[2] / "docs" / "cells.md").read_text(encoding="utf-8")
    assert f"`{cell}`" in table
