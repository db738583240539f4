from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from encoder_case import LENS, OWN, TWO_WAY, batch, config, encoder, layers, parts
from tolerance import assert_close
from torch import nn

from asr_ligru.errors import ConfigError
from asr_ligru.nn import build_encoder

IN_PAPERS_FORM = [
    ("gru_bn", nn.GRU),
    ("lstm_bn", nn.LSTM),
    ("rnn_tanh", nn.RNN),
    ("rnn_relu", partial(nn.RNN, nonlinearity="relu")),
]


def _copy_from_torch(model: nn.Module, network: nn.RNNBase) -> None:
    """Give a stack without norm and with separate directions the weights of a network of torch."""
    with torch.no_grad():
        for index, layer in enumerate(layers(model)):
            ends = [f"_l{index}", f"_l{index}_reverse"]
            layer.w.weight.copy_(torch.cat([getattr(network, f"weight_ih{end}") for end in ends]))
            layer.u.copy_(torch.stack([getattr(network, f"weight_hh{end}") for end in ends]))
            biases = [getattr(network, f"bias_ih{end}") + getattr(network, f"bias_hh{end}") for end in ends]
            layer.w.bias.copy_(torch.cat(biases))


@pytest.mark.parametrize(("cell", "network_of_torch"), IN_PAPERS_FORM)
def test_stack_without_norm_equals_torch_network(cell: str, network_of_torch: Callable[..., nn.RNNBase]) -> None:
    torch.manual_seed(0)
    network = network_of_torch(4, 5, 3, batch_first=True, bidirectional=True).double()
    if cell == "gru_bn":  # its candidate has no recurrent bias; elsewhere two biases are one
        for name, bias in network.named_parameters():
            if name.startswith("bias_hh"):
                bias.data[10:] = 0
    model = build_encoder(4, config(cell, norm="none", share_directions=False)).double()
    _copy_from_torch(model, network)
    out, state = model(batch(torch.float64), LENS)
    packed = nn.utils.rnn.pack_padded_sequence(batch(torch.float64), LENS, batch_first=True, enforce_sorted=False)
    expected, last = network(packed)
    assert_close(out, nn.utils.rnn.pad_packed_sequence(expected, batch_first=True)[0])
    for got, want in zip(parts(state), parts(last), strict=True):  # (L * D, B, H) in the same order
        assert_close(got, want)


@pytest.mark.parametrize("cell", TWO_WAY)
def test_final_state_of_top_layer_is_where_each_direction_ends(cell: str) -> None:
    out, state = encoder(cell)(batch(), LENS)
    forward, reverse = parts(state)[0][-2:]
    ends = torch.stack([row[n - 1, :5] for row, n in zip(out, LENS.tolist(), strict=True)])
    assert torch.equal(forward, ends)
    assert torch.equal(reverse, out[:, 0, 5:])


@pytest.mark.parametrize("cell", TWO_WAY)
def test_shared_directions_reversed_input_swaps_halves(cell: str) -> None:
    model = encoder(cell, num_layers=1)
    x = torch.randn(2, 6, 4)
    lens = torch.tensor([6, 6])
    forward, reverse = model(x, lens)[0].chunk(2, dim=2)
    swapped = torch.cat((reverse.flip(1), forward.flip(1)), dim=2)
    assert_close(model(x.flip(1), lens)[0], swapped)


@pytest.mark.parametrize("cell", TWO_WAY)
def test_recurrent_weights_start_orthogonal_per_gate(cell: str) -> None:
    for layer in layers(build_encoder(4, config(cell, share_directions=False))):
        gates = layer.u.detach().view(-1, 5, 5)
        assert_close(gates @ gates.mT, torch.eye(5).expand_as(gates))


def test_input_weights_start_glorot_per_gate() -> None:
    for layer in layers(build_encoder(4, config("ligru", hidden_size=200))):
        bound = math.sqrt(6 / (layer.w.in_features + 200))
        for gate in layer.w.weight.chunk(2):
            assert 0.95 * bound < gate.abs().max() <= bound


def test_dropout_mask_is_one_per_sequence_and_direction() -> None:
    model = encoder("libru_geo", num_layers=1, hidden_size=64, dropout=0.5, initial_state="zeros").train()
    out, _ = model(torch.randn(3, 9, 4), torch.tensor([9, 9, 9]))
    dropped = (out == 0).view(3, 9, 2, 64)  # softplus is never 0, so only a dropped unit stays at 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    masks = dropped[:, 0].flatten(0, 1)
    assert len(masks.unique(dim=0)) == 6
    assert 0.35 < masks.float().mean() < 0.65


def test_dropout_keeps_the_expected_candidate() -> None:
    model = encoder("libru_geo", num_layers=1, hidden_size=512, dropout=0.3, initial_state="zeros", bidirectional=False)
    x, lens = torch.randn(64, 1, 4).expand(64, 2, 4), torch.full((64,), 2)
    evaluated = float(model(x, lens)[0].detach()[:, 0].mean())
    trained = float(_without_statistics(model)(x, lens)[0].detach()[:, 0].mean())
    assert trained == pytest.approx(evaluated, rel=0.02)


def test_dropout_off_in_evaluation() -> None:
    with_dropout, without = encoder("ligru", dropout=0.5), encoder("ligru", dropout=0.0)
    assert torch.equal(with_dropout(batch(), LENS)[0], without(batch(), LENS)[0])


@pytest.mark.parametrize(
    ("cell", "name", "value"),
    [
        ("libru_arith", "default", math.log(2)),
        ("libru_arith", "uniform", math.log(2)),
        ("libru_harm", "default", math.log(2)),
        ("libru_geo", "zeros", 0.0),
        ("ligru", "default", 0.0),
        ("lstm_bn", "zeros", 0.0),
    ],
)
def test_initial_state_by_name_equals_given(cell: str, name: str, value: float) -> None:
    model = encoder(cell, initial_state=name)
    expected, state = model(batch(), LENS)
    given = tuple(torch.full_like(x, value) for x in parts(state))
    assert torch.equal(model(batch(), LENS, given if len(given) > 1 else given[0])[0], expected)


@pytest.mark.parametrize("cell", ["libru_arith", "libru_harm", "libru_geo", "sbru"])
def test_output_probability_is_exp_of_minus_state(cell: str) -> None:
    state, probability = (encoder(cell, num_layers=1, output=name) for name in ("state", "probability"))
    s, _ = state(batch(), LENS)
    p, last = probability(batch(), LENS)
    valid = torch.arange(12) < LENS[:, None]
    assert_close(p[valid], torch.exp(-s[valid]))
    assert_close(torch.exp(-parts(last)[0][-1]), p[:, 0, 5:])  # the state to go on with stays s


def test_output_probability_of_ligru_is_refused() -> None:
    with pytest.raises(ConfigError, match="ligru has no output 'probability'"):
        build_encoder(4, config("ligru", output="probability"))


def test_initial_state_uniform_of_ligru_is_refused() -> None:
    with pytest.raises(ConfigError, match="ligru has no initial state 'uniform'"):
        build_encoder(4, config("ligru", initial_state="uniform"))


@pytest.mark.parametrize("backend", ["cpu", "auto"])
@pytest.mark.parametrize("cell", OWN)
def test_stack_any_backend_same_outputs_and_gradients(cell: str, backend: str) -> None:
    results = []
    for name in (backend, "reference"):
        model = encoder(cell, backend=name)
        out, _ = model(batch(), LENS)
        results.append([out, *torch.autograd.grad(out.pow(2).sum(), list(model.parameters()))])
    for got, expected in zip(*results, strict=True):
        assert_close(got, expected)


def _without_statistics(model: nn.Module) -> nn.Module:
    """Put everything but the norms in training mode."""
    model.train()
    for layer in layers(model):
        layer.norm.eval()
    return model


@pytest.mark.parametrize("backend", ["reference", "stepped", "cpu"])
def test_growing_state_does_not_grow_in_padding(backend: str) -> None:
    model = encoder("ligru", norm="none", num_layers=1, backend=backend)
    with torch.no_grad():
        for layer in layers(model):
            layer.u.abs_().mul_(5)
            layer.u[:, 5:] = 0
            layer.w.bias.fill_(1.0)
    lens, results = torch.tensor([3, 2]), []
    for num_frames in (3, 400):  # 400 frames of growth would be infinite
        out, _ = model(torch.ones(2, num_frames, 4), lens)
        results.append([out[:, :3], *torch.autograd.grad(out.sum(), list(model.parameters()))])
    for got, expected in zip(*results, strict=True):
        assert_close(got, expected)
