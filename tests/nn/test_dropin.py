"""The drop-ins beside torch.nn.GRU: same call, same shapes, same packing, same order of states."""

from __future__ import annotations

import copy
import doctest
import itertools
from typing import Any

import pytest
import torch
from encoder_case import perturb
from tolerance import assert_close
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import asr_ligru
from asr_ligru import LiBRU, LiGRU, SLiGRU
from asr_ligru.errors import ConfigError
from asr_ligru.nn import dropin

LENS = torch.tensor([5, 2, 7])
CLASSES = [LiGRU, SLiGRU, LiBRU]
each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
OPTIONS = [
    {"num_layers": layers, "bias": bias, "batch_first": first, "dropout": dropout, "bidirectional": both}
    for layers, bias, first, dropout, both in itertools.product(
        (1, 3), (True, False), (True, False), (0.0, 0.5), (True, False)
    )
    if layers > 1 or not dropout  # torch.nn.GRU warns of the others
]


def _shapes(result: tuple[Any, Tensor]) -> list[Any]:
    """Return the shapes of output and state, and all that packing says of the output."""
    out, state = result
    if isinstance(out, PackedSequence):
        return [out.data.shape, state.shape, *(None if x is None else x.tolist() for x in out[1:])]
    return [out.shape, state.shape]


def _network(kind: type[dropin.DropIn], *args: Any, **keys: Any) -> dropin.DropIn:
    torch.manual_seed(0)
    network = kind(4, 5, *args, **keys)
    perturb(network)
    return network.eval()


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(str(x) for x in options.values()))
@each_class
def test_dropin_any_option_same_call_and_shapes_as_torch_gru(
    kind: type[dropin.DropIn], options: dict[str, Any]
) -> None:
    ours, theirs = kind(4, 5, **options), nn.GRU(4, 5, **options)
    state = torch.rand(options["num_layers"] * (1 + options["bidirectional"]), 3, 5)
    padded = torch.randn(3, 7, 4) if options["batch_first"] else torch.randn(7, 3, 4)
    packed = [
        pack_padded_sequence(padded, lens, options["batch_first"], enforce_sorted=in_order)
        for lens, in_order in ((LENS, False), (LENS.sort(descending=True).values, True))
    ]
    for x, hx in ((padded, state), (padded[0], state[:, 0].clone()), *((x, state) for x in packed)):
        assert _shapes(ours(x)) == _shapes(theirs(x))
        assert _shapes(ours(x, hx)) == _shapes(theirs(x, hx=hx))


@each_class
def test_dropin_positional_arguments_mean_what_they_mean_to_torch(kind: type[dropin.DropIn]) -> None:
    ours, theirs = kind(4, 5, 2, False, True, 0.25, True), nn.GRU(4, 5, 2, False, True, 0.25, True)
    for name in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("batch_first", [True, False])
@each_class
def test_dropin_packed_sequence_equals_each_sequence_alone(kind: type[dropin.DropIn], batch_first: bool) -> None:
    network = _network(kind, 2, batch_first=batch_first, bidirectional=True)
    x, hx = torch.randn(3, 7, 4), torch.rand(4, 3, 5)
    packed = pack_padded_sequence(x if batch_first else x.transpose(0, 1), LENS, batch_first, enforce_sorted=False)
    out, state = network(packed, hx)
    padded, lens = pad_packed_sequence(out, batch_first=True)
    assert torch.equal(lens, LENS)
    for b, n in enumerate(LENS.tolist()):
        alone, last = network(x[b, :n], hx[:, b])
        assert_close(padded[b, :n], alone)
        assert not padded[b, n:].any()
        assert_close(state[:, b], last)


@each_class
def test_dropin_state_is_ordered_as_torchs(kind: type[dropin.DropIn]) -> None:
    x, hx = torch.randn(7, 3, 4), torch.rand(6, 3, 5)
    for network in (_network(kind, 3, bidirectional=True), nn.GRU(4, 5, 3, bidirectional=True)):
        out, state = network(x, hx)
        assert torch.equal(state[-2], out[-1, :, :5])
        assert torch.equal(state[-1], out[0, :, 5:])
        for index in range(6):  # state i depends on the states of its own place and of the layers below
            moved = hx.clone()
            moved[index] += 0.3
            changed = (network(x, moved)[1] != state).flatten(1).any(dim=1)
            first_above = 2 * (index // 2 + 1)
            assert changed.tolist() == [i == index or i >= first_above for i in range(6)]


@each_class
def test_dropin_state_carries_over_from_call_to_call(kind: type[dropin.DropIn]) -> None:
    network = _network(kind, 2)
    x = torch.randn(9, 3, 4)
    whole, last = network(x)
    first, state = network(x[:4])
    second, state = network(x[4:], state)
    assert_close(torch.cat((first, second)), whole)
    assert_close(state, last)


@each_class
def test_dropin_state_dict_or_copy_gives_the_same_bits(kind: type[dropin.DropIn]) -> None:
    network, x = _network(kind, 2, bidirectional=True), torch.randn(7, 3, 4)
    fresh = kind(4, 5, 2, bidirectional=True).eval()
    fresh.load_state_dict(network.state_dict())
    for other in (fresh, copy.deepcopy(network)):
        assert torch.equal(other(x)[0], network(x)[0])


class _Tagger(nn.Module):
    """What a user has written around torch.nn.GRU."""

    def __init__(self, network: type[nn.Module]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.rnn = network(8, 16, num_layers=2, batch_first=True, dropout=0.1, bidirectional=True)
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor, lens: Tensor) -> Tensor:
        self.rnn.flatten_parameters()
        packed = pack_padded_sequence(self.embedding(x), lens, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.head(out)


@pytest.mark.parametrize("network", [*CLASSES, nn.GRU], ids=lambda kind: kind.__name__)
def test_dropin_in_place_of_gru_in_users_model_trains(network: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x = _Tagger(network), torch.randint(11, (3, 7))
    wanted = (x.cumsum(1) % 3).masked_fill(torch.arange(7) >= LENS[:, None], -100)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.02), []
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x, LENS).transpose(1, 2), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@each_class
def test_dropin_without_bias_shift_stays_zero(kind: type[dropin.DropIn], norm: str) -> None:
    network = kind(4, 5, bias=False, norm=norm)
    network(torch.randn(7, 3, 4))[0].sum().backward()
    shifts = [parameter for name, parameter in network.named_parameters() if name.endswith("bias")]
    assert shifts
    assert all(x.grad is None and not x.any() for x in shifts)
    assert all(x.grad is not None for x in network.parameters() if x.requires_grad)


def test_dropin_dtype_and_device_arguments_are_followed() -> None:
    network = LiGRU(4, 5, 2, dtype=torch.float64, device="meta")
    assert {(x.dtype, x.device.type) for x in network.parameters()} == {(torch.float64, "meta")}
    assert LiGRU(4, 5, dtype=torch.float64)(torch.randn(7, 3, 4, dtype=torch.float64))[0].dtype == torch.float64


def test_libru_output_probability_is_exp_of_minus_default() -> None:
    x = torch.randn(7, 3, 4)
    s, last = _network(LiBRU, bidirectional=True)(x)
    p, last_of_p = _network(LiBRU, bidirectional=True, output="probability")(x)
    assert_close(p, torch.exp(-s))
    assert torch.equal(last, last_of_p)


@pytest.mark.parametrize("mean", list(dropin.MEANS))
def test_libru_mean_picks_the_recurrence(mean: str) -> None:
    assert LiBRU(4, 5, mean=mean).stack.layers[0].cell == f"libru_{mean}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": "harmonic"}, "unknown mean 'harmonic'"),
        ({"dropout": 1.5}, "dropout: expected a value from 0.0 to 0.95, got 1.5"),
        ({"norm": "batchnorm"}, "norm: unknown value 'batchnorm'"),
        ({"backend": "cuda"}, "backend: unknown value 'cuda'"),
        ({"hidden_size": 0}, "hidden_size: expected a value from 1"),
    ],
)
def test_dropin_wrong_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LiBRU(**{"input_size": 4, "hidden_size": 5, **arguments})


@pytest.mark.parametrize("shape", [(4,), (7, 3, 4, 1), (7, 3, 5), (7, 5), (0, 3, 4), (7, 0, 4)], ids=str)
@each_class
def test_dropin_input_of_wrong_shape_is_refused(kind: type[dropin.DropIn], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"got|no sequences"):
        kind(4, 5)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 6), (2, 4, 5), (1, 3, 5), (2, 3, 5, 1)], ids=str)
def test_dropin_state_of_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="got"):
        LiGRU(4, 5, 2)(torch.zeros(7, 3, 4), torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64], ids=str)
def test_dropin_input_of_other_dtype_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=f"must be torch.float32 like the weights, got {dtype}"):
        LiGRU(4, 5)(torch.zeros(7, 3, 4, dtype=dtype))


def test_dropin_docstring_examples_say_the_truth() -> None:
    names = {f"asr_ligru.nn.dropin.{name}" for name in asr_ligru.__all__ if name != "load_model"}
    examples = [test for test in doctest.DocTestFinder().find(dropin) if test.examples]
    assert {test.name for test in examples} == names
    runner = doctest.DocTestRunner()
    assert [runner.run(test).failed for test in examples] == [0] * len(names)


def test_package_attribute_that_is_not_there_is_refused() -> None:
    with pytest.raises(AttributeError, match="LiGru"):
        asr_ligru.LiGru  # type: ignore[attr-defined]  # noqa: B018
