from __future__ import annotations

import logging

import pytest
import torch
from encoder_case import LENS, batch, config, encoder, layers
from tolerance import assert_close
from torch import nn

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.nn import build_encoder
from asr_ligru.nn.norm import FrameBatchNorm, build_norm


@pytest.mark.parametrize("share", [True, False])
def test_batch_norm_of_padded_batch_equals_torch_on_concatenated_valid_frames(share: bool) -> None:
    torch.manual_seed(0)
    model = build_encoder(4, config("ligru", num_layers=1, share_directions=share)).double()
    (layer,) = layers(model)
    x = batch(torch.float64)
    valid = torch.cat([row[:n] for row, n in zip(x, LENS.tolist(), strict=True)])
    expected = nn.BatchNorm1d(len(layer.norm.weight), momentum=0.05).double()
    wanted = expected(valid @ layer.w.weight.T)
    got: list[torch.Tensor] = []
    layer.norm.register_forward_hook(lambda _module, _inputs, out: got.append(out))
    model(x, LENS)
    assert_close(got[0], wanted)
    assert_close(layer.norm.running_mean, expected.running_mean)
    assert_close(layer.norm.running_var, expected.running_var)


def test_batch_norm_more_padding_same_statistics() -> None:
    statistics = []
    for padding in (0, 12):
        torch.manual_seed(0)
        model = build_encoder(4, config("ligru")).double()
        model(nn.functional.pad(batch(torch.float64), (0, 0, 0, padding)), LENS)
        statistics.append([(layer.norm.running_mean, layer.norm.running_var) for layer in layers(model)])
    for one, other in zip(*statistics, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_batch_norm_gate_and_candidate_of_different_scale_have_own_statistics() -> None:
    torch.manual_seed(0)
    model = build_encoder(4, config("ligru", num_layers=1))
    (layer,) = layers(model)
    with torch.no_grad():
        layer.w.weight[5:] *= 100
    for _ in range(300):
        train, _ = model(batch(), LENS)
    assert layer.norm.running_var[5:].min() > 100 * layer.norm.running_var[:5].max()
    evaluated, _ = model.eval()(batch(), LENS)
    assert (train - evaluated).norm() < 0.05 * train.norm()  # the running variance is the unbiased one


def test_batch_norm_one_valid_frame_in_training_is_refused() -> None:
    model = build_encoder(4, config("ligru"))
    with pytest.raises(DataError, match="at least 2 valid frames"):
        model(torch.zeros(1, 1, 4), torch.tensor([1]))


def test_batch_norm_evaluated_untrained_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    norm = FrameBatchNorm(3).eval()
    with caplog.at_level(logging.WARNING):
        norm(torch.zeros(2, 3))
        norm(torch.zeros(2, 3))
    assert caplog.text.count("before any training step") == 1


def test_batch_norm_evaluated_after_training_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    norm = FrameBatchNorm(3)
    norm(torch.randn(5, 3))
    with caplog.at_level(logging.WARNING):
        norm.eval()(torch.zeros(2, 3))
    assert not caplog.text


def test_layer_norm_covers_all_gates_of_one_direction() -> None:
    norm = build_norm("layer", 12, groups=2)
    x = torch.randn(7, 12)
    expected = [nn.functional.layer_norm(half, (6,)) for half in x.chunk(2, dim=1)]
    assert_close(norm(x), torch.cat(expected, dim=1))


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("norm", ["layer", "none"])
def test_encoder_other_norms_alone_equals_in_padded_batch(norm: str, share: bool) -> None:
    model = encoder("ligru", norm=norm, share_directions=share).double()
    x = batch(torch.float64)
    together, _ = model(x, LENS)
    alone, _ = model(x[3:, :5], LENS[3:])
    assert_close(together[3, :5], alone[0])


@pytest.mark.parametrize("name", ["batch", "layer"])
def test_norm_initial_scale_is_configurable(name: str) -> None:
    model = build_encoder(4, config("ligru", norm=name, norm_gamma=0.1))
    assert all((layer.norm.weight == 0.1).all() for layer in layers(model))


def test_projection_has_bias_without_norm_only() -> None:
    with_bias = {
        name: layers(build_encoder(4, config("ligru", norm=name)))[0].w.bias for name in ("batch", "layer", "none")
    }
    assert [name for name, bias in with_bias.items() if bias is not None] == ["none"]


@pytest.mark.parametrize("name", ["batchnorm", "None", ""])
def test_norm_unknown_name_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown norm"):
        build_encoder(4, config("ligru", norm=name))
