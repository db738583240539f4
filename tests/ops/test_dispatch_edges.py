"""Wrong and unusual input of the recurrence interface, with every backend: an error in words, or the right result."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from recurrence_case import NAMES, Case
from tolerance import assert_all_close, assert_close
from torch import Tensor

from asr_ligru.ops import dispatch
from asr_ligru.ops.fused_cpu.gated import CELLS
from asr_ligru.ops.packing import Packing

each_backend = pytest.mark.parametrize("backend", ["reference", "stepped", "cpu", "auto"])
each_cell = pytest.mark.parametrize("cell", CELLS)
INPUTS = ("wx", "u", "h0", "mask")
SMALL = {"num_frames": 6, "hidden_size": 7, "dtype": torch.float32}


def _inputs(cell: str) -> dict[str, Tensor]:
    inputs = dict(zip(INPUTS, Case(cell, own=2, **SMALL).inputs(), strict=True))
    return {name: x for name, x in inputs.items() if x is not None}


def _run(cell: str, inputs: dict[str, Tensor], backend: str) -> list[Tensor]:
    """Return states and gradients of their weighted sum."""
    leaves = [inputs[name].detach().requires_grad_() for name in INPUTS[:3]]
    states = dispatch.recurrence(cell, *leaves, inputs.get("mask"), backend=backend)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(4))
    return [states.detach(), *torch.autograd.grad(states, leaves, weights.to(states.dtype))]


def _expected(cell: str, inputs: dict[str, Tensor]) -> list[Tensor]:
    return _run(cell, {name: x.double() for name, x in inputs.items()}, "reference")


@each_backend
@each_cell
@pytest.mark.parametrize("wrong", ["hidden size", "gates", "state", "mask", "directions", "batch"])
def test_recurrence_sizes_that_do_not_fit_are_named(cell: str, wrong: str, backend: str) -> None:
    inputs, (rows, hidden) = _inputs(cell), ((2, 3), 7)
    gates, parts = CELLS[cell].gates, CELLS[cell].parts
    name, shape = {
        "hidden size": ("u", (2, gates * hidden, hidden - 1)),
        "gates": ("u", (2, (gates + 1) * hidden, hidden)),
        "state": ("h0", (*rows, (3 - parts) * hidden)),
        "mask": ("mask", (*rows, hidden + 1)),
        "directions": ("u", (3, gates * hidden, hidden)),
        "batch": ("h0", (2, 4, parts * hidden)),
    }[wrong]
    inputs[name] = torch.zeros(shape)
    if wrong == "gates":  # as wide as these weights are, but not what the cell has
        inputs["wx"] = torch.zeros(*rows, 6, (gates + 1) * hidden)
    with pytest.raises(ValueError, match=f"shape of .*{name}.* does not fit"):
        dispatch.recurrence(cell, *inputs.values(), backend=backend)


@each_backend
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("wx", (3, 6, 14)),
        ("wx", (2, 0, 6, 14)),
        ("wx", (2, 3, 0, 14)),
        ("wx", (2, 3, 6, 0)),
        ("u", (14, 7)),
        ("u", (2, 14, 0)),
        ("h0", (3, 7)),
        ("h0", (2, 0, 7)),
    ],
    ids=str,
)
def test_recurrence_empty_or_missing_dimension_is_named(name: str, shape: tuple[int, ...], backend: str) -> None:
    inputs = {**_inputs("ligru"), name: torch.zeros(shape)}
    with pytest.raises(ValueError, match=f"{name} must have . dimensions and not be empty, got"):
        dispatch.recurrence("ligru", *inputs.values(), backend=backend)


@pytest.mark.parametrize("lens", [[4, 0, 6], [4, 7, 6], [4, -1, 6], []], ids=str)
def test_packing_length_without_or_beyond_frames_is_refused(lens: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lens must lie in \[1, 6\]|at least 1 sequence"):
        Packing(torch.tensor(lens, dtype=torch.int64), 6, 2)


@each_backend
@pytest.mark.parametrize("name", ["wx", "u", "h0", "mask", "padding"])
def test_packed_sizes_that_do_not_fit_are_named(name: str, backend: str) -> None:
    inputs = {**_inputs("ligru"), "wx": torch.zeros(11, 14), "padding": torch.zeros(14)}
    inputs[name] = inputs[name][..., :-1]
    packing = Packing(torch.tensor([4, 1, 6]), 6, 2)
    wx, u, h0, mask, padding = (inputs[key] for key in (*INPUTS, "padding"))
    with pytest.raises(ValueError, match=f"shape of .*{name}.* does not fit"):
        dispatch.packed("ligru", wx, packing, u, h0, mask, padding=padding, backend=backend)


@each_backend
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("name", INPUTS)
def test_recurrence_input_that_is_no_float_is_named(name: str, dtype: torch.dtype, backend: str) -> None:
    inputs = _inputs("ligru")
    inputs[name] = inputs[name].to(dtype)
    with pytest.raises(ValueError, match=f"must be floating-point numbers, got {name} {dtype}"):
        dispatch.recurrence("ligru", *inputs.values(), backend=backend)


@each_backend
@pytest.mark.parametrize("name", INPUTS)
def test_recurrence_input_on_other_device_is_named(name: str, backend: str) -> None:
    inputs = _inputs("ligru")
    inputs[name] = inputs[name].to("meta")
    with pytest.raises(ValueError, match=f"must be on one device, got .*{name} on meta"):
        dispatch.recurrence("ligru", *inputs.values(), backend=backend)


@each_backend
@each_cell
@pytest.mark.parametrize("name", INPUTS)
def test_recurrence_mixed_precision_is_that_of_projection_and_weights(cell: str, name: str, backend: str) -> None:
    inputs = _inputs(cell)
    expected = _expected(cell, inputs)
    inputs[name] = inputs[name].double()
    got = _run(cell, inputs, backend)
    assert got[0].dtype == (torch.float64 if name in {"wx", "u"} else torch.float32)
    assert_all_close([x.float() for x in got], expected, NAMES)


@each_backend
@each_cell
@pytest.mark.parametrize("layout", ["transposed", "expanded", "every second"])
def test_recurrence_any_memory_layout_equals_contiguous(cell: str, layout: str, backend: str) -> None:
    inputs = _inputs(cell)
    for name, x in inputs.items():
        if layout == "transposed":
            inputs[name] = x.mT.contiguous().mT
        elif layout == "expanded" and name != "u":
            inputs[name] = x[:, :1].expand_as(x)
        elif layout == "every second":
            inputs[name] = x.repeat_interleave(2, dim=-1)[..., ::2]
        assert name == "u" or not inputs[name].is_contiguous()
    expected = _expected(cell, {name: x.contiguous() for name, x in inputs.items()})
    assert_all_close(_run(cell, inputs, backend), expected, NAMES)


@each_backend
@each_cell
@pytest.mark.parametrize("sizes", [{"batch_size": 1}, {"num_frames": 1}, {"batch_size": 1, "num_frames": 1}], ids=str)
def test_recurrence_one_sequence_or_frame_equals_reference(cell: str, sizes: dict[str, int], backend: str) -> None:
    case = replace(Case(cell, **SMALL), **sizes)
    inputs = dict(zip(INPUTS, case.inputs(), strict=True))
    assert_all_close(_run(cell, inputs, backend), _expected(cell, inputs), NAMES)


@each_backend
@each_cell
@pytest.mark.parametrize("name", ["wx", "h0"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_recurrence_not_finite_input_stays_in_its_sequence(cell: str, value: float, name: str, backend: str) -> None:
    inputs = _inputs(cell)
    place = (1, 2, 3, 4) if name == "wx" else (1, 2, 4)
    inputs[name][place] = value
    got, expected = _run(cell, inputs, backend), _expected(cell, inputs)
    if math.isnan(value):  # infinity saturates gates or becomes NaN, as the order of operations has it
        assert torch.equal(got[0].isnan(), expected[0].isnan())
    clean = torch.ones(2, 3, dtype=torch.bool)
    clean[1, 2] = False
    for x, y in zip((got[0], got[1], got[3]), (expected[0], expected[1], expected[3]), strict=True):
        assert_close(x[clean], y[clean])


@pytest.mark.parametrize("backend", ["stepped", "cpu"])
@pytest.mark.parametrize("cell", ["libru_arith", "libru_harm", "libru_geo", "sbru"])
@pytest.mark.parametrize("size", [1e3, 1e4, 1e5, 1e6])
@pytest.mark.parametrize("which", [("h0",), ("wx", "h0")], ids=str)
def test_recurrence_huge_bayesian_states_are_as_exact_as_reference(
    cell: str, size: float, which: tuple[str, ...], backend: str
) -> None:
    case = Case(cell, num_frames=12, hidden_size=20, dtype=torch.float32)
    inputs = dict(zip(INPUTS, case.inputs(), strict=True))
    for name in which:
        inputs[name] *= size
    exact = _expected(cell, inputs)
    same_precision = _run(cell, inputs, "reference")
    for got, other, x in zip(_run(cell, inputs, backend), same_precision, exact, strict=True):
        assert got.isfinite().all()
        assert (got - x).norm() <= max(1e-5 * x.norm(), 2 * (other - x).norm())
