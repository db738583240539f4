"""The contract of every reference recurrence, and what is special about each."""

from __future__ import annotations

import pytest
import torch
from recurrence_case import LAYERS, Case, extras, recurrence
from tolerance import assert_close
from torch import Tensor

SMALL = {"batch_size": 2, "num_frames": 4, "hidden_size": 3}


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize(("directions", "own", "masked"), [(1, 1, False), (2, 1, True), (2, 2, True)])
def test_reference_every_gradient_equals_finite_differences(cell: str, directions: int, own: int, masked: bool) -> None:
    wx, u, h0, mask = Case(cell, directions, own, masked=masked, **SMALL).inputs()
    further = extras(cell, u)
    leaves = [x.requires_grad_() for x in (wx, u, h0, *further.values())]

    def run(wx: Tensor, u: Tensor, h0: Tensor, *values: Tensor) -> Tensor:
        return recurrence(cell, "reference")(wx, u, h0, mask, **dict(zip(further, values, strict=True)))

    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("cell", LAYERS)
def test_reference_in_two_pieces_equals_whole(cell: str) -> None:
    wx, u, h0, mask = Case(cell).inputs()
    run = recurrence(cell, "reference")
    whole = run(wx, u, h0, mask)
    first = run(wx[:, :, :30], u, h0, mask)
    assert_close(torch.cat((first, run(wx[:, :, 30:], u, first[:, :, -1], mask)), dim=2), whole)


@pytest.mark.parametrize("cell", LAYERS)
def test_reference_mask_of_ones_changes_nothing(cell: str) -> None:
    wx, u, h0, _ = Case(cell).inputs()
    ones = torch.ones_like(h0[..., : u.shape[-1]])
    run = recurrence(cell, "reference")
    assert torch.equal(run(wx, u, h0, ones), run(wx, u, h0, None))


@pytest.mark.parametrize("cell", ["ligru", "libru_geo"])
def test_reference_dropped_units_from_zero_stay_zero(cell: str) -> None:
    wx, u, h0, mask = Case(cell).inputs()
    assert mask is not None
    states = recurrence(cell, "reference")(wx, u, torch.zeros_like(h0), mask)
    dropped = (mask == 0).unsqueeze(2).expand_as(states)
    assert dropped.any()
    assert (states[dropped] == 0).all()
    assert (states[~dropped] != 0).any()


def test_sligru_state_stays_bounded_where_ligru_grows() -> None:
    wx, u, h0, _ = Case("ligru", num_frames=500, masked=False, dtype=torch.float32).inputs()
    u = 5 * u.abs()
    u[:, 5:] = 0  # the keep gate does not see the state
    peaks = [float(recurrence(cell, "reference")(wx, u, h0).max()) for cell in ("ligru", "sligru")]
    assert not peaks[0] < 1e6
    assert peaks[1] < 20


def test_sligru_gradient_at_zero_state_scales_with_eps() -> None:
    wx, u, h0, _ = Case("sligru", num_frames=1, masked=False).inputs()

    def gradient(eps: float) -> Tensor:
        zero = torch.zeros_like(h0).requires_grad_()
        states = recurrence("sligru", "reference")(wx.abs(), u, zero, eps=eps)
        # Without the direct way through the keep gate, which eps has no part in.
        kept = torch.sigmoid(wx.abs().chunk(2, dim=-1)[1][:, :, 0])
        return torch.autograd.grad(states.sum(), zero)[0] - kept

    assert_close(gradient(1e-5), 100 * gradient(1e-1))
