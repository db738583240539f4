"""The gates that are drawn are the cells' gates."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_ligru.config import CellConfig
from asr_ligru.nn import build_encoder

TOOL = Path(__file__).resolve().parents[2] / "tools" / "plot_gates.py"
SIZE = 3
LSTM, GRU, LIGHT = {"i": 0, "f": 1, "o": 3}, {"r": 0, "z": 1}, {"z": 1}
# Where a gate's input stands in the projection, in blocks of H.
BLOCKS: dict[str, dict[str, int]] = {
    "lstm_bn": LSTM,
    "lstm_peephole": LSTM,
    "gru_bn": GRU,
    "gru_reset_before": GRU,
    "mgu": {"f": 1},
    **dict.fromkeys(("mgru", "ligru", "sligru", "libru_arith", "libru_harm", "libru_geo"), LIGHT),
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("plot_gates", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _layer(cell: str) -> Any:
    """Return a layer without norm whose units do not see each other."""
    torch.manual_seed(0)
    encoder: Any = build_encoder(4, CellConfig(name=cell, hidden_size=SIZE, num_layers=1, norm="none", dropout=0.0))
    with torch.no_grad():
        encoder.layers[0].u.zero_()
    return encoder.layers[0].eval()


@pytest.mark.parametrize("cell", BLOCKS)
def test_gates_without_feedback_are_sigmoids_of_their_input(cell: str, tool: ModuleType) -> None:
    layer, rows = _layer(cell), torch.randn(7, 4)
    inputs: Tensor = layer.w(rows).detach()
    found = tool.gates(layer, rows)
    assert list(found) == list(BLOCKS[cell])
    for name, block in BLOCKS[cell].items():
        torch.testing.assert_close(found[name], torch.sigmoid(inputs[:, block * SIZE : (block + 1) * SIZE]))


@pytest.mark.parametrize("cell", ["gru1", "gru3"])
def test_gates_of_biases_alone_are_constant(cell: str, tool: ModuleType) -> None:
    layer = _layer(cell)
    with torch.no_grad():
        layer.bias.copy_(torch.linspace(-2, 2, 2 * SIZE))
    found = tool.gates(layer, torch.randn(7, 4))
    expected = torch.sigmoid(layer.bias.detach()[0]).expand(7, -1)
    torch.testing.assert_close(torch.cat((found["r"], found["z"]), dim=1), expected)


def test_gates_of_a_unit_without_any_are_its_probability(tool: ModuleType) -> None:
    layer, rows = _layer("sbru"), torch.randn(7, 4)
    (found,) = tool.gates(layer, rows).values()
    torch.testing.assert_close(found, torch.sigmoid(layer.w(rows).detach()))
