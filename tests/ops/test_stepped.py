"""The hand-written backward against autograd through the reference loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from recurrence_case import NAMES, STEPPED, Case, recurrence
from tolerance import assert_all_close, assert_close

SHAPES = [
    {"directions": 1, "masked": False},
    {"directions": 2, "own": 1},
    {"directions": 2, "own": 2},
    {"num_frames": 1},
    {"num_frames": 32, "hidden_size": 1, "batch_size": 1},
    {"num_frames": 33, "hidden_size": 17},
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", STEPPED)
def test_stepped_states_and_every_gradient_equal_reference(
    cell: str, shape: dict[str, int], dtype: torch.dtype
) -> None:
    if cell == "sligru" and shape.get("hidden_size") == 1 and dtype == torch.float32:
        shape = {**shape, "hidden_size": 2}  # a norm over two numbers is a sign, its gradient almost zero
    case = Case(cell, **shape)
    assert_all_close(case.with_dtype(dtype).run("stepped"), case.run("reference"), NAMES)


def test_stepped_sligru_other_eps_equals_reference() -> None:
    case = Case("sligru")
    assert_all_close(case.run("stepped", eps=0.1), case.run("reference", eps=0.1), NAMES)


@pytest.mark.parametrize("cell", STEPPED)
def test_stepped_without_gradients_same_bits(cell: str) -> None:
    wx, u, h0, mask = Case(cell).inputs()
    run = recurrence(cell, "stepped")
    plain = run(wx, u, h0, mask)
    with torch.no_grad():
        assert torch.equal(run(wx, u.requires_grad_(), h0, mask), plain)
    assert torch.equal(run(wx, u, h0, mask), plain)


@pytest.mark.parametrize("cell", STEPPED)
def test_stepped_second_backward_same_gradients(cell: str) -> None:
    wx, u, h0, mask = Case(cell).inputs()
    leaves = [x.requires_grad_() for x in (wx, u, h0)]
    states = recurrence(cell, "stepped")(*leaves, mask)
    first = torch.autograd.grad(states.sum(), leaves, retain_graph=True)
    second = torch.autograd.grad(states.sum(), leaves)
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


@pytest.mark.parametrize("cell", STEPPED)
def test_stepped_any_strides_equal_contiguous(cell: str) -> None:
    case = Case(cell, own=2, hidden_size=8)
    wx, u, h0, mask = case.inputs()
    assert mask is not None
    stored = [x.permute(*reversed(range(x.dim()))).contiguous().permute(*reversed(range(x.dim()))) for x in (wx, u, h0)]
    leaves = [x.requires_grad_() for x in stored]
    states = recurrence(cell, "stepped")(*leaves, mask)
    expected = case.run("reference")
    assert_close(states, expected[0])
    wanted = torch.autograd.grad(recurrence(cell, "reference")(*leaves, mask).sum(), leaves)
    assert_all_close(torch.autograd.grad(states.sum(), leaves), wanted, NAMES[1:])


@pytest.mark.parametrize("cell", STEPPED)
def test_stepped_only_some_inputs_need_gradients(cell: str) -> None:
    case = replace(Case(cell), num_frames=3)
    wx, u, h0, mask = case.inputs()
    h0.requires_grad_()
    (got,) = torch.autograd.grad(recurrence(cell, "stepped")(wx, u, h0, mask).sum(), h0)
    (expected,) = torch.autograd.grad(recurrence(cell, "reference")(wx, u, h0, mask).sum(), h0)
    assert_close(got, expected)
    assert got.any()
