"""Every fused path against the reference in float64, over lengths, hidden sizes and precisions.

The whole matrix takes minutes: `pytest -m slow tests/ops/test_fused_matrix.py`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest
import torch
from recurrence_case import NAMES, STEPPED, Case
from tolerance import assert_all_close, assert_close
from torch import Tensor

from asr_ligru.ops import dispatch
from asr_ligru.ops.fused_cpu.gated import CELLS
from asr_ligru.ops.packing import Packing

HIDDEN_SIZES = (1, 5, 64, 300, 512, 550, 1024)
MIXED = (500, 1, 1000, 63, 2)
SAMPLE = [(1, (2, 5)), (5, (63, 1, 2)), (64, (9, 17)), (300, (3, 1))]
whole_matrix = [pytest.param(size, lens, marks=pytest.mark.slow) for size in HIDDEN_SIZES for lens in (MIXED, (63, 63))]

BFLOAT16_ROUNDING = 2.0**-8  # of a gradient that is returned in bfloat16
# How far rounding the inputs to bfloat16 itself may move states and gradients; docs/decisions/0006 has the figures.
SMOOTH, WITH_KINK = (3e-3, 6e-3), (4e-3, 5e-2)
# Where rounding takes a candidate across the kink of ReLU, all that was to flow back through it is gone or comes anew.
# In float32 that happens once in some ten million candidates. KINK keeps them away from it.
KINKED, KINK = {"ligru", "sligru", "rnn_relu"}, 6.0


@dataclass(frozen=True)
class Problem:
    """Packed utterances of mixed lengths in both directions."""

    cell: str
    hidden_size: int
    lens: tuple[int, ...]

    @functools.cached_property
    def inputs(self) -> list[Tensor]:
        """Return wx (N, G*H), u, h0 and the mask in float64."""
        case = Case(self.cell, batch_size=len(self.lens), num_frames=1, hidden_size=self.hidden_size)
        _, u, h0, mask = case.inputs()
        random = torch.Generator().manual_seed(6)
        wx = torch.randn(sum(self.lens), u.shape[1], generator=random, dtype=torch.float64)
        if self.cell in KINKED and self.hidden_size > 1:  # few candidates come close by themselves
            candidate = wx[:, : self.hidden_size]
            candidate += KINK * candidate.sign()
        assert mask is not None
        return [wx, u, h0, mask]

    def run(self, backend: str, inputs: list[Tensor]) -> list[Tensor]:
        """Return states, and the gradients of a weighted sum of them."""
        lens = torch.tensor(self.lens)
        *leaves, mask = (x.detach().requires_grad_() for x in inputs)
        # a layer norm of two numbers makes them -1 and 1, unless eps is large
        options = {"eps": 1.0} if self.cell == "sligru" and self.hidden_size == 1 else {}
        padding = torch.zeros(leaves[1].shape[1])
        packing = Packing(lens, max(self.lens), 2)
        states = dispatch.packed(
            self.cell, leaves[0], packing, *leaves[1:], mask.detach(), padding=padding, backend=backend, **options
        )
        weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        return [states.detach(), *torch.autograd.grad(states, leaves, weights.to(states.dtype))]


@pytest.mark.parametrize(("hidden_size", "lens"), [*SAMPLE, *whole_matrix], ids=str)
@pytest.mark.parametrize("cell", STEPPED)
def test_fused_every_backend_and_precision_equals_reference(cell: str, hidden_size: int, lens: tuple[int, ...]) -> None:
    problem = Problem(cell, hidden_size, lens)
    exact = problem.inputs
    expected = problem.run("reference", exact)
    assert_all_close(problem.run("stepped", exact), expected, NAMES)
    for backend in ("stepped", "cpu") if cell in CELLS else ("stepped",):
        got = problem.run(backend, [x.float() for x in exact])
        assert_all_close(got, expected, NAMES)
        again = problem.run(backend, [x.float() for x in exact])
        assert all(torch.equal(x, y) for x, y in zip(got, again, strict=True))


@pytest.mark.parametrize(("hidden_size", "lens"), [*SAMPLE, *whole_matrix], ids=str)
@pytest.mark.parametrize("cell", STEPPED)
def test_fused_bfloat16_inputs_lose_their_own_rounding_only(cell: str, hidden_size: int, lens: tuple[int, ...]) -> None:
    problem = Problem(cell, hidden_size, lens)
    rounded = [x.bfloat16() for x in problem.inputs]
    expected = problem.run("reference", [x.double() for x in rounded])
    got = problem.run("cpu", rounded)
    assert got[0].dtype == torch.float32
    assert_close(got[0], expected[0])
    for x, y in zip(got[1:], expected[1:], strict=True):
        assert (x.double() - y).norm() <= BFLOAT16_ROUNDING * y.norm()
    if hidden_size >= 64:  # of a few units one that flips is everything
        of_states, of_gradients = WITH_KINK if cell in KINKED else SMOOTH
        for x, y in zip(got, problem.run("reference", problem.inputs), strict=True):
            assert (x.double() - y).norm() <= (of_states if x is got[0] else of_gradients) * y.norm()
