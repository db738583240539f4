"""Exported networks of every cell against the original, at other lengths and batch sizes than any example had."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

from asr_ligru.config import CellConfig, Config, ModelConfig
from asr_ligru.errors import ConfigError
from asr_ligru.export import onnx_graph
from asr_ligru.export.check import Runner, onnx_runner
from asr_ligru.export.onnx_model import onnx_model
from asr_ligru.export.torchscript import torchscript_model
from asr_ligru.models.build import build_model
from asr_ligru.models.ctc import CtcModel
from asr_ligru.nn.encoder import CELLS
from tests.nn.encoder_case import perturb

NUM_FEATURES = 5
PLAIN = {"norm": "none", "share_directions": False}
SHAPES: dict[str, dict[str, Any]] = {
    "shared": {},
    "layer": {"share_directions": False, "norm": "layer"},
    "one way": {"bidirectional": False, "norm": "none"},
}


def network(name: str, stack_frames: int = 2, **keys: Any) -> CtcModel:
    cell = CellConfig(name=name, hidden_size=4, num_layers=2, **{**keys, **(PLAIN if name in ("gru", "lstm") else {})})
    torch.manual_seed(0)
    built = build_model(Config(cell=cell, model=ModelConfig(stack_frames=stack_frames)), NUM_FEATURES, 6)
    perturb(built)
    assert isinstance(built, CtcModel)
    return built.eval()


def check_equal(original: CtcModel, run: Runner) -> None:
    for lens in ([13], [9, 4, 1], [2, 21]):
        feats = torch.randn(len(lens), max(lens), NUM_FEATURES, generator=torch.Generator().manual_seed(len(lens)))
        valid = torch.arange(max(lens)) < torch.tensor(lens).unsqueeze(1)
        with torch.no_grad():
            expected = original(feats * valid.unsqueeze(-1), torch.tensor(lens))
        got = run(feats.masked_fill(~valid.unsqueeze(-1), 50.0), torch.tensor(lens))
        assert got[1].tolist() == expected[1].tolist()
        for ours, theirs, n in zip(expected[0], got[0], expected[1].tolist(), strict=True):
            torch.testing.assert_close(theirs[:n], ours[:n], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "ubru"])
@pytest.mark.parametrize("shape", SHAPES)
def test_onnx_network_equals_the_original(cell: str, shape: str) -> None:
    original = network(cell, **SHAPES[shape])
    check_equal(original, onnx_runner(onnx_model(original, NUM_FEATURES)))


@pytest.mark.parametrize("cell", ["ligru", "sligru", "libru_arith", "lstm_bn", "gru1", "gru", "lstm"])
def test_torchscript_network_equals_the_original(cell: str) -> None:
    original = network(cell, stack_frames=3)
    content, _ = torchscript_model(original, NUM_FEATURES)
    check_equal(original, read_torchscript(content))


def read_torchscript(content: bytes) -> Runner:
    with pytest.warns(DeprecationWarning, match=r"torch\.jit\.load"):
        return torch.jit.load(io.BytesIO(content))  # type: ignore[no-any-return, no-untyped-call]


def test_onnx_without_stacking_and_with_probabilities_as_output_equals_the_original() -> None:
    original = network("libru_harm", stack_frames=1, output="probability")
    check_equal(original, onnx_runner(onnx_model(original, NUM_FEATURES)))


@pytest.mark.parametrize("make", [onnx_model, torchscript_model])
def test_export_cell_without_a_form_says_so(make: Any) -> None:
    with pytest.raises(ConfigError, match="cell ubru cannot be exported"):
        make(network("ubru"), NUM_FEATURES)


def test_onnx_function_without_a_form_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(onnx_graph._FUNCTIONS, torch.relu)
    with pytest.raises(ConfigError, match="no ONNX form is known of torch's relu"):
        onnx_model(network("ligru"), NUM_FEATURES)


def test_export_leaves_the_network_as_it_was() -> None:
    original = network("ligru")
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    onnx_model(original, NUM_FEATURES)
    torchscript_model(original, NUM_FEATURES)
    assert all(torch.equal(tensor, before[name]) for name, tensor in original.state_dict().items())
