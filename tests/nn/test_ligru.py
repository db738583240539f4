"""LiGRU and SLi-GRU beside SpeechBrain's, and the growth statistic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from encoder_case import batch, config, encoder, layers, perturb
from tolerance import assert_close

from asr_ligru import torchaudio_import
from asr_ligru.nn import build_encoder
from asr_ligru.nn.ligru import growth, layer_growth
from asr_ligru.nn.recurrent import Encoder

FULL = torch.tensor([12, 12, 12, 12])


@pytest.fixture(scope="module")
def speechbrain_rnn() -> Iterator[Any]:
    torchaudio_import.ensure()
    from speechbrain.nnet import RNN

    return RNN


def _pair(rnn: Any, cell: str, norm: str, bidirectional: bool) -> tuple[Encoder, Any]:
    """Return our stack and SpeechBrain's with the same weights and statistics."""
    torch.manual_seed(0)
    ours = perturb(build_encoder(4, config(cell, norm=norm, bidirectional=bidirectional))).double()
    kind, key = {"ligru": (rnn.LiGRU, "normalization"), "sligru": (rnn.SLiGRU, "ff_normalization")}[cell]
    named = {key: f"{norm}norm", "num_layers": 3, "bidirectional": bidirectional}
    theirs = kind(5, (4, 12, 4), **named).double()
    for mine, other in zip(layers(ours), theirs.rnn, strict=True):
        other.w.weight.data.copy_(mine.w.weight)
        other.u.weight.data.copy_(mine.u[0])
        other.norm.load_state_dict(mine.norm.state_dict())
    return ours, theirs


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("cell", ["ligru", "sligru"])
def test_stack_equal_lengths_equals_speechbrain(
    speechbrain_rnn: Any, cell: str, norm: str, bidirectional: bool, training: bool
) -> None:
    ours, theirs = _pair(speechbrain_rnn, cell, norm, bidirectional)
    x = batch(torch.float64).requires_grad_()
    got, _ = ours.train(training)(x, FULL)
    expected, _ = theirs.train(training)(x)
    assert_close(got, expected)
    weights = torch.randn(got.shape, dtype=torch.float64)
    (d_got,), (d_expected,) = (torch.autograd.grad(y, x, weights) for y in (got, expected))
    assert_close(d_got, d_expected)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_stack_padded_batch_differs_from_speechbrain_reversing_padding(speechbrain_rnn: Any, norm: str) -> None:
    ours, theirs = _pair(speechbrain_rnn, "ligru", norm, bidirectional=True)
    x, lens = batch(torch.float64)[3:, :5], torch.tensor([5])
    padded = torch.nn.functional.pad(x, (0, 0, 0, 7))
    changes = []
    for run in (lambda y: ours.eval()(y, lens)[0], lambda y: theirs.eval()(y)[0]):
        changes.append(float((run(padded)[:, :5] - run(x)).detach().abs().max()))
    assert changes[0] < 1e-12
    assert changes[1] > 0.01  # what this stack is for: theirs reads the padding first


def test_growth_of_orthogonal_weights_is_known() -> None:
    (layer,) = layers(build_encoder(4, config("ligru", num_layers=1, hidden_size=64)))
    assert growth(layer.u, h_max=4.4) == pytest.approx(4.4 / 4 + 1, rel=1e-5)


def test_growth_takes_the_larger_direction() -> None:
    u = torch.zeros(2, 4, 2)
    u[0, :2], u[1, :2], u[1, 2:] = torch.eye(2), torch.eye(2), 3 * torch.eye(2)
    assert growth(u, h_max=2.0) == pytest.approx(1 + 2 / 4 * 3)


def test_layer_growth_uses_each_layers_own_peak() -> None:
    model = encoder("ligru")
    got = layer_growth(model, batch(), FULL)
    peak = float(model(batch(), FULL)[0].detach().max())
    assert len(got) == 3
    assert got[-1] == pytest.approx(growth(layers(model)[-1].u, peak))
