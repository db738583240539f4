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


def _arith_in_p(wx: Tensor, u: Tensor, h0: Tensor, mask: None = None) -> Tensor:
    from asr_ligru.ops.libru_arith.reference import probabilities

    return -torch.log(probabilities(wx, u, torch.exp(-h0)))


def test_libru_arith_in_s_equals_paper_form_in_p() -> None:
    case = Case("libru_arith", masked=False)
    expected = _run(_arith_in_p, case)
    for got, want in zip(case.run("reference"), expected, strict=True):
        assert_close(got, want)


def test_libru_harm_is_another_function_than_arith() -> None:
    wx, u, h0, _ = Case("libru_arith").inputs()
    arith, harm, geo = (recurrence(f"libru_{mean}", "reference")(wx, u, h0) for mean in ("arith", "harm", "geo"))
    assert (arith - harm).abs().max() > 0.1
    assert (geo - harm).abs().max() > 0.1


def test_libru_harm_equals_public_code_formula() -> None:
    wx, u, h0, _ = Case("libru_harm", directions=1, masked=False).inputs()
    h, expected = h0[0], []
    for wx_t in wx[0].unbind(1):  # h = log(z exp(h) + (1 - z) exp(softplus(a)))
        a, g = (wx_t + h @ u[0].T).chunk(2, dim=-1)
        z = torch.sigmoid(g)
        h = torch.log(z * torch.exp(h) + (1 - z) * torch.exp(torch.log1p(torch.exp(a))))
        expected.append(h)
    assert_close(recurrence("libru_harm", "reference")(wx, u, h0)[0], torch.stack(expected, dim=1))


@pytest.mark.parametrize("backend", ["reference", "stepped"])
@pytest.mark.parametrize("cell", ["libru_arith", "libru_harm", "libru_geo"])
@pytest.mark.parametrize("size", [1e-3, 200.0, 1e4])
def test_libru_extreme_inputs_give_finite_states_and_gradients(cell: str, size: float, backend: str) -> None:
    wx, u, h0, _ = Case(cell, masked=False, dtype=torch.float32).inputs()
    leaves = [(wx * size).requires_grad_(), u.requires_grad_(), torch.zeros_like(h0).requires_grad_()]
    states = recurrence(cell, backend)(*leaves)
    grads = torch.autograd.grad(states.mean(), leaves)
    assert (states > -1e-7).all()  # the sum of z and 1 - z rounds to a little above 1
    assert all(x.isfinite().all() for x in (states, *grads))


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


def _run(function, case: Case) -> list[Tensor]:  # type: ignore[no-untyped-def]
    wx, u, h0, mask = case.inputs()
    leaves = [x.requires_grad_() for x in (wx, u, h0)]
    states = function(*leaves, mask)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return [states.detach(), *torch.autograd.grad(states, leaves, weights)]
