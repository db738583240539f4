"""A gradient computed later is the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from asr_ligru.config import CellConfig
from asr_ligru.nn import build_encoder
from asr_ligru.ops.weight_gradients import catch_up, of_weight, postponed

LENS = torch.tensor([9, 5, 7])


def model(cell: CellConfig) -> nn.Module:
    torch.manual_seed(3)
    return build_encoder(6, cell)


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("share", [False, True])
def test_postponed_gradients_have_the_bits_of_others(share: bool) -> None:
    cell = CellConfig(hidden_size=8, num_layers=2, dropout=0.0, share_directions=share, backend="cpu")
    x = torch.randn(3, 9, 6, generator=torch.Generator().manual_seed(4))
    found = []
    for context in (nullcontext, postponed):
        network = model(cell)
        for _ in range(2):  # the second pass adds to what the first one left
            with context():
                network(x, LENS)[0].square().sum().backward()
        found.append(gradients(network))
    assert found[0].keys() == found[1].keys() == dict(model(cell).named_parameters()).keys()
    assert all(torch.equal(found[1][name], gradient) for name, gradient in found[0].items())


def test_postponed_gradients_are_there_after_catch_up_and_not_before() -> None:
    network = model(CellConfig(hidden_size=8, num_layers=1, dropout=0.0, backend="cpu"))
    with postponed():
        network(torch.ones(3, 9, 6), LENS)[0].square().sum().backward()
        assert not {"layers.0.w.weight", "layers.0.u"} & gradients(network).keys()
        catch_up()
        assert {"layers.0.w.weight", "layers.0.u"} <= gradients(network).keys()


def test_gradient_of_what_is_not_a_leaf_is_computed_at_once() -> None:
    leaf = torch.ones(2, requires_grad=True)
    with postponed():
        gradient = of_weight(leaf * 2, lambda: torch.ones(2))
    assert gradient is not None
    assert leaf.grad is None


def test_gradients_of_a_pass_that_fails_do_not_reach_the_next_one() -> None:
    leaf = torch.ones(2, requires_grad=True)

    @contextmanager
    def failing() -> Iterator[None]:
        with pytest.raises(RuntimeError, match="lost"), postponed():
            yield

    with failing():
        of_weight(leaf, lambda: torch.ones(2))
        raise RuntimeError("lost")
    with postponed():
        catch_up()
    assert leaf.grad is None
