from __future__ import annotations

import pytest
import torch
from encoder_case import config
from torch import nn

from asr_ligru.config import CellConfig
from asr_ligru.errors import ConfigError
from asr_ligru.nn import build_encoder
from asr_ligru.nn.torch_rnn import TorchRecurrent


@pytest.mark.parametrize(("cell", "network"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_torch_cell_equal_lengths_same_bits_as_torch(cell: str, network: type[nn.GRU]) -> None:
    model = build_encoder(4, config(cell))
    assert isinstance(model, TorchRecurrent)
    assert type(model.network) is network
    x = torch.randn(2, 9, 4)
    assert torch.equal(model(x, torch.tensor([9, 9]))[0], model.network(x)[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("norm", "batch"),
        ("share_directions", True),
        ("initial_state", "uniform"),
        ("output", "probability"),
        ("backend", "reference"),
    ],
)
def test_torch_cell_setting_it_does_not_have_is_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"has no cell.{key}={value}") as caught:
        build_encoder(4, config("gru", **{key: value}))
    assert "conf/cell/gru.yaml" in caught.value.fix


def test_torch_cell_one_direction_has_nothing_to_share() -> None:
    assert build_encoder(4, CellConfig(name="lstm", norm="none", bidirectional=False)).output_size == 256


def test_torch_cell_single_layer_has_no_dropout() -> None:
    model = build_encoder(4, config("gru", num_layers=1, dropout=0.5))
    x, lens = torch.randn(2, 9, 4), torch.tensor([9, 9])
    assert torch.equal(model(x, lens)[0], model(x, lens)[0])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_torch_cell_outputs_of_mixed_lengths_equal_packed_sequences(cell: str, bidirectional: bool) -> None:
    model = build_encoder(4, config(cell, num_layers=3, dropout=0.0, bidirectional=bidirectional)).double()
    x, lens = torch.randn(3, 9, 4, dtype=torch.float64), torch.tensor([9, 1, 5])
    weight = torch.randn(3, 9, model.output_size, dtype=torch.float64)
    results = []
    for out in (model(x, lens)[0], model.outputs(x, lens)):
        gradients = torch.autograd.grad((out * weight).sum(), list(model.parameters()))
        results.append([out, *gradients])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
