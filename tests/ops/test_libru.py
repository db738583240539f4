"""The Bayesian units without and with a gate: in probabilities, in logarithms, and what the three means can learn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from recurrence_case import NAMES, Case, recurrence
from tolerance import assert_all_close, assert_close
from torch import Tensor

from asr_ligru.ops.libru_arith.reference import probabilities

Function = Callable[..., Tensor]


def _arith_in_p(wx: Tensor, u: Tensor, h0: Tensor) -> Tensor:
    return -torch.log(probabilities(wx, u, torch.exp(-h0)))


def _sbru_in_p(wx: Tensor, u: Tensor, h0: Tensor) -> Tensor:
    p, states = torch.exp(-h0), []
    for wx_t in wx.unbind(2):
        p = torch.sigmoid(wx_t + torch.log(p) @ u.mT)
        states.append(-torch.log(p))
    return torch.stack(states, dim=2)


@pytest.mark.parametrize(("cell", "in_p"), [("libru_arith", _arith_in_p), ("sbru", _sbru_in_p)])
def test_unit_in_s_equals_papers_form_in_p_with_every_gradient(cell: str, in_p: Function) -> None:
    case = Case(cell, masked=False)
    leaves = [x.requires_grad_() for x in case.inputs()[:3]]
    states = in_p(*leaves)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    expected = [states.detach(), *torch.autograd.grad(states, leaves, weights)]
    assert_all_close(case.run("reference"), expected, NAMES)


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
@pytest.mark.parametrize("cell", ["libru_arith", "libru_harm", "libru_geo", "sbru"])
@pytest.mark.parametrize("size", [1e-3, 200.0, 1e4])
def test_unit_extreme_inputs_give_finite_states_and_gradients(cell: str, size: float, backend: str) -> None:
    wx, u, h0, _ = Case(cell, masked=False, dtype=torch.float32).inputs()
    leaves = [(wx * size).requires_grad_(), u.requires_grad_(), torch.zeros_like(h0).requires_grad_()]
    states = recurrence(cell, backend)(*leaves)
    grads = torch.autograd.grad(states.mean(), leaves)
    assert (states > -1e-7).all()  # the sum of z and 1 - z rounds to a little above 1
    assert all(x.isfinite().all() for x in (states, *grads))


class _Student:
    """One unit that learns the probabilities of a teacher, an arithmetic LiBRU in p, by following its gradient.

    Args:
        form: the recurrence it has itself.
        seed: of the place near the teacher's weights where it begins.
        mirrored: whether it has softplus(a) for -log sigmoid(a) and feeds s back for log p.
    """

    def __init__(self, form: Function, seed: int, *, mirrored: bool = False) -> None:
        self.form = form
        random = torch.Generator().manual_seed(0)
        self.x, w, bias, u = (
            torch.randn(shape, generator=random, dtype=torch.float64)
            for shape in ((1, 16, 12, 2), (2, 2), (2,), (1, 2, 1))
        )
        teacher = [3 * w, bias, u / 2]
        self.target = self.predict(_arith_in_p, teacher)
        random.manual_seed(100 + seed)
        start = [x + 0.2 * torch.randn(x.shape, generator=random, dtype=torch.float64) for x in teacher]
        if mirrored:
            start = [torch.cat((-x[:1], x[1:])) for x in start[:2]] + [start[2] * torch.tensor([[1.0], [-1.0]])]
        self.weights = [x.requires_grad_() for x in start]

    def predict(self, form: Function, weights: list[Tensor]) -> Tensor:
        """Return p (1, 16, T, 1)."""
        w, bias, u = weights
        return torch.exp(-form(self.x @ w.T + bias, u, torch.full((1, 16, 1), 0.5, dtype=torch.float64).log().neg()))

    def error(self) -> Tensor:
        """Return the mean squared error relative to the variance of the teacher's probabilities."""
        return (self.predict(self.form, self.weights) - self.target).pow(2).mean() / self.target.var()

    def learn(self) -> float:
        """Return the error that is left when the gradient has vanished."""
        optimizer = torch.optim.LBFGS(
            self.weights, max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            error = self.error()
            error.backward()
            return error

        optimizer.step(closure)
        return float(self.error().detach())


def test_libru_arith_learns_same_weights_in_either_form() -> None:
    in_p, in_s = students = [_Student(form, 0) for form in (_arith_in_p, recurrence("libru_arith", "reference"))]
    assert max(student.learn() for student in students) < 1e-14
    for x, y in zip(in_s.weights, in_p.weights, strict=True):
        assert_close(x, y)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("mean", "left"), [("harm", 5.5e-3), ("geo", 1.5e-3)])
def test_libru_other_means_cannot_learn_what_arith_does(mean: str, left: float, seed: int) -> None:
    student = _Student(recurrence(f"libru_{mean}", "reference"), seed, mirrored=True)
    assert student.learn() == pytest.approx(left, rel=0.05)
