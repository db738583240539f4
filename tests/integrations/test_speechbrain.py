"""The cells for SpeechBrain beside SpeechBrain's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.models.CRDNN import CRDNN
from speechbrain.nnet import RNN
from tolerance import assert_close
from torch import nn

from asr_ligru.errors import ConfigError
from asr_ligru.integrations import speechbrain

CLASSES = [speechbrain.LiGRU, speechbrain.SLiGRU, speechbrain.LiBRU]
each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def _trained(network: nn.Module) -> nn.Module:
    """Move parameters and statistics away from their initial values, which hide mistakes."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm1d):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.3, 3.0)
                norm.num_batches_tracked.fill_(7)
    return network.eval()


def _pair(name: str, norm: str, bidirectional: bool) -> tuple[Any, Any]:
    """Return SpeechBrain's network and ours with its weights and statistics."""
    torch.manual_seed(0)
    arguments = {"input_shape": (3, 9, 4), "num_layers": 3, "bidirectional": bidirectional}
    arguments["ff_normalization" if name == "SLiGRU" else "normalization"] = norm
    theirs, ours = (getattr(module, name)(hidden_size=5, **arguments) for module in (RNN, speechbrain))
    _trained(theirs)
    with torch.no_grad():
        for mine, other in zip(ours.rnn.stack.layers, theirs.rnn, strict=True):
            mine.w.weight.copy_(other.w.weight)
            mine.u[0].copy_(other.u.weight)
            mine.norm.load_state_dict(other.norm.state_dict())
    return ours.eval(), theirs


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("norm", ["batchnorm", "layernorm"])
@pytest.mark.parametrize("name", ["LiGRU", "SLiGRU"])
def test_network_with_speechbrains_weights_same_outputs(name: str, norm: str, bidirectional: bool) -> None:
    ours, theirs = _pair(name, norm, bidirectional)
    x = torch.randn(3, 9, 4)
    assert_close(ours(x)[0], theirs(x)[0])
    hx = torch.rand(3 * (1 + bidirectional), 3, 5)
    assert_close(ours(x, hx=hx)[0], theirs(x, hx=hx)[0])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["LiGRU", "SLiGRU"])
def test_network_training_step_with_speechbrains_weights_same_gradients(name: str, bidirectional: bool) -> None:
    ours, theirs = (network.double().train() for network in _pair(name, "batchnorm", bidirectional))
    x, wanted = (torch.randn(3, 9, size, dtype=torch.float64) for size in (4, 5 * (1 + bidirectional)))
    for network in (ours, theirs):
        nn.functional.mse_loss(network(x)[0], wanted).backward()
    for mine, other in zip(ours.rnn.stack.layers, theirs.rnn, strict=True):
        pairs = (
            (mine.w.weight, other.w.weight),
            (mine.u, other.u.weight),
            *zip(mine.norm.parameters(), other.norm.parameters(), strict=True),
        )
        for got, expected in pairs:
            assert_close(got.grad.view_as(expected), expected.grad)
        assert_close(mine.norm.running_mean, other.norm.running_mean)


@pytest.mark.parametrize("name", ["LiGRU", "SLiGRU"])
def test_network_final_state_of_one_direction_equals_speechbrains(name: str) -> None:
    ours, theirs = _pair(name, "batchnorm", bidirectional=False)
    x = torch.randn(3, 9, 4)
    assert_close(ours(x)[1], theirs(x)[1])


@each_class
def test_network_inside_crdnn_trains(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    sizes = {"cnn_channels": [4, 4], "rnn_layers": 2, "rnn_neurons": 6, "dnn_blocks": 1, "dnn_neurons": 5}
    model = CRDNN(input_size=12, rnn_class=kind, dropout=0.0, **sizes)
    x = torch.randn(3, 10, 12)
    wanted = x[..., :5].argmax(dim=2)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.02), []
    for _ in range(10):
        loss = nn.functional.cross_entropy(model(x).transpose(1, 2), wanted)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@each_class
def test_network_named_in_hyperparameter_file_is_built(kind: type[nn.Module]) -> None:
    model = load_hyperpyyaml(f"""
model: !new:speechbrain.lobes.models.CRDNN.CRDNN
  input_size: 12
  rnn_class: !name:asr_ligru.integrations.speechbrain.{kind.__name__}
  rnn_neurons: 6
  dnn_neurons: 5
""")["model"]
    assert sum(isinstance(module, kind) for module in model.modules()) == 1
    assert model(torch.randn(3, 10, 12)).shape == (3, 10, 5)


@each_class
def test_network_input_of_four_dimensions_is_flattened(kind: type[nn.Module]) -> None:
    network = kind(hidden_size=5, input_shape=(3, 9, 4, 2)).eval()
    x = torch.randn(3, 9, 4, 2)
    assert torch.equal(network(x)[0], network(x.reshape(3, 9, 8))[0])


@each_class
def test_network_input_size_is_input_shapes_last(kind: type[nn.Module]) -> None:
    by_size, by_shape = kind(5, input_size=4), kind(5, (None, None, 4))
    assert [x.shape for x in by_size.parameters()] == [x.shape for x in by_shape.parameters()]


def test_network_without_re_init_draws_as_linear() -> None:
    torch.manual_seed(0)
    for re_init, largest in ((True, 4.0), (False, 1 / 3)):  # variance times inputs: orthogonal is 1, uniform 1 / 3
        (layer,) = speechbrain.LiGRU(100, input_size=100, re_init=re_init).rnn.stack.layers
        variance = float(layer.u.detach().var()) * 100
        assert variance == pytest.approx(1.0 if re_init else 1 / 3, rel=0.05)
        assert float(layer.w.weight.detach().abs().max()) <= largest


@pytest.mark.parametrize("kind", CLASSES[:2], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("value", ["tanh", "sin", "leaky_relu", "Relu"])
def test_network_nonlinearity_it_does_not_have_is_refused(kind: type[nn.Module], value: str) -> None:
    with pytest.raises(ConfigError, match=f"nonlinearity '{value}' is not supported, expected relu") as caught:
        kind(5, input_size=4, nonlinearity=value)
    assert caught.value.where
    assert caught.value.fix


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (speechbrain.LiGRU, "normalization"),
        (speechbrain.SLiGRU, "ff_normalization"),
        (speechbrain.LiBRU, "normalization"),
    ],
)
@pytest.mark.parametrize("value", ["none", "instancenorm", ""])
def test_network_unknown_normalization_is_refused(kind: type[nn.Module], key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"normalization '{value}' is not supported, expected batchnorm or layernorm"):
        kind(5, input_size=4, **{key: value})


def test_sligru_recurrent_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match="recurrent_elementwise_affine 'True' is not supported"):
        speechbrain.SLiGRU(5, input_size=4, recurrent_elementwise_affine=True)


@pytest.mark.parametrize("sizes", [{}, {"input_size": 4, "input_shape": (3, 9, 4)}], ids=str)
def test_network_without_or_with_two_sizes_is_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="either input_shape or input_size"):
        speechbrain.LiGRU(5, **sizes)
