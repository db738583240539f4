"""The compiled recurrence against the reference loops in float64, forward and every gradient."""

from __future__ import annotations

import functools
import importlib
import math
import multiprocessing
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from asr_ligru.ops import fused_cpu
from asr_ligru.ops.fused_cpu import gated, library
from asr_ligru.ops.fused_cpu.gated import CELLS, gated_recurrence, packed_recurrence
from asr_ligru.ops.fused_cpu.memory import unwritten

pytestmark = pytest.mark.skipif(bool(fused_cpu.refusal()), reason=fused_cpu.refusal() or "compiled")


@dataclass(frozen=True)
class Case:
    """How large, and how strong the feedback is; at the default states stay bounded."""

    directions: int
    batch: int
    steps: int
    hidden: int
    own: int = 1
    masked: bool = False
    scale: float = 0.4


class Problem:
    """Random inputs of a cell's recurrence in float64."""

    def __init__(self, cell: str, case: Case) -> None:
        gates, parts = CELLS[cell].gates, CELLS[cell].parts
        random = torch.Generator().manual_seed(7)
        shape = (case.directions, case.batch)
        draw = functools.partial(torch.randn, generator=random, dtype=torch.float64)
        self.cell = cell
        self.wx = draw(*shape, case.steps, gates * case.hidden)
        self.u = draw(case.own, gates * case.hidden, case.hidden) * (case.scale / math.sqrt(case.hidden))
        self.h0 = draw(*shape, parts * case.hidden).abs()
        self.grad = draw(*shape, case.steps, parts * case.hidden)
        kept = (torch.rand(*shape, case.hidden, generator=random) > 0.2).double() / 0.8
        self.mask = kept if case.masked else None
        # a layer norm of two numbers makes them -1 and 1, unless eps is large
        self.options = {"eps": 1.0} if cell == "sligru" and case.hidden == 1 else {}

    def run(self, backend: str, dtype: torch.dtype) -> list[Tensor]:
        """Return states and the gradients to wx, u and h0."""
        recurrence = importlib.import_module(f"asr_ligru.ops.{self.cell}.{backend}").recurrence
        inputs = [x.to(dtype).requires_grad_() for x in (self.wx, self.u, self.h0)]
        h = recurrence(*inputs, None if self.mask is None else self.mask.to(dtype), **self.options)
        return [h.detach(), *torch.autograd.grad(h, inputs, self.grad.to(dtype))]

    def floats(self) -> list[Tensor]:
        """Return wx, u and h0 in float32."""
        return [x.float() for x in (self.wx, self.u, self.h0)]


def assert_close(got: list[Tensor], expected: list[Tensor]) -> None:
    for name, x, y in zip(("h", "wx", "u", "h0"), got, expected, strict=True):
        assert x.shape == y.shape
        distance = (x.double() - y).norm() / y.norm()
        assert distance <= 1e-5, f"{name} differs by {distance:.1e}"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Torch's own threads wait for each other a hundred times longer than they work on inputs as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


CASES = [
    Case(1, 1, 1, 1),
    Case(2, 1, 500, 1, own=2),
    Case(2, 5, 63, 5, masked=True),
    Case(1, 4, 500, 64, own=1),
    Case(2, 3, 500, 64, own=2, masked=True),
    Case(2, 5, 63, 300, masked=True),
    Case(2, 1, 2, 300, own=2),
    Case(2, 2, 63, 550),
    Case(2, 4, 3, 512, own=2, masked=True),
    Case(1, 5, 3, 1024),
    Case(2, 33, 4, 40),
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_recurrence_any_shape_equals_reference(cell: str, case: Case) -> None:
    problem = Problem(cell, case)
    assert_close(problem.run("cpu", torch.float32), problem.run("reference", torch.float64))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["avx512", "avx2", "base"])
def test_core_each_instruction_set_equals_reference(cell: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_LIGRU_CPU_CORE", name)
    library._load.cache_clear()
    try:
        if fused_cpu.refusal():
            pytest.skip(fused_cpu.refusal())
        assert library.core().name == name.encode()
        for case in (Case(2, 9, 20, 70, masked=True), Case(1, 2, 20, 33), Case(2, 1, 5, 4, own=2)):
            problem = Problem(cell, case)
            assert_close(problem.run("cpu", torch.float32), problem.run("reference", torch.float64))
    finally:
        library._load.cache_clear()


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="elsewhere denormal numbers stay")
@pytest.mark.parametrize("name", ["avx512", "avx2", "base"])
@pytest.mark.parametrize("threads", [1, 2])
def test_states_and_gradients_below_full_precision_are_zero(
    name: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state of 1 of which each step keeps a half, and a gradient to the last one: 2 to the power of -1, -2, ..."""
    monkeypatch.setenv("ASR_LIGRU_CPU_CORE", name)
    library._load.cache_clear()
    try:
        if fused_cpu.refusal():
            pytest.skip(fused_cpu.refusal())
        torch.set_num_threads(threads)
        wx = torch.zeros(1, 2, 140, 2).requires_grad_()
        h0 = torch.ones(1, 2, 1).requires_grad_()
        h = gated_recurrence("ligru", wx, torch.zeros(1, 2, 1), h0, None)
        h[:, :, -1].sum().backward()
    finally:
        library._load.cache_clear()
    powers = 0.5 ** torch.arange(1, 141, dtype=torch.float64)
    expected = torch.where(powers < torch.finfo(torch.float32).tiny, 0, powers)
    assert torch.equal(h[0, :, :, 0].double(), expected.expand(2, -1))
    assert h0.grad is not None
    assert torch.equal(h0.grad, torch.zeros(1, 2, 1))
    assert float(torch.tensor(1e-39) * 1) > 0  # the caller's mode stays


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("directions", "own"), [(1, 1), (2, 1), (2, 2)])
def test_packed_recurrence_mixed_lengths_equals_each_utterance_alone(cell: str, directions: int, own: int) -> None:
    lens = torch.tensor([11, 30, 1, 22])
    problem = Problem(cell, Case(directions, 4, 1, 21, own=own, masked=True))
    wx = torch.randn(int(lens.sum()), own * problem.u.shape[1], dtype=torch.float64)
    reference = importlib.import_module(f"asr_ligru.ops.{cell}.reference").recurrence

    def alone(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor) -> Tensor:
        results = []
        for b, frames in enumerate(wx.split(lens.tolist())):
            each = frames.view(len(frames), own, -1).transpose(0, 1).expand(directions, -1, -1)
            walked = torch.stack([frames if d == 0 else frames.flip(0) for d, frames in enumerate(each)])
            h = reference(walked.unsqueeze(1), u, h0[:, b : b + 1], mask[:, b : b + 1]).squeeze(1)
            results.append(torch.cat([x if d == 0 else x.flip(0) for d, x in enumerate(h)], dim=1))
        return torch.cat(results)

    def packed(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor) -> Tensor:
        return packed_recurrence(cell, wx, lens, u, h0, mask)

    grad = torch.randn(len(wx), directions * problem.h0.shape[2], dtype=torch.float64)

    def run(recurrence: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        inputs = [x.to(dtype).requires_grad_() for x in (wx, problem.u, problem.h0)]
        h = recurrence(*inputs, problem.mask.to(dtype))
        return [h.detach(), *torch.autograd.grad(h, inputs, grad.to(dtype))]

    assert_close(run(packed, torch.float32), run(alone, torch.float64))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_any_thread_count_same_bits(cell: str) -> None:
    problem = Problem(cell, Case(2, 16, 20, 100, masked=True))
    results = []
    for threads in (1, 2, 1, 5):
        torch.set_num_threads(threads)
        results.append(problem.run("cpu", torch.float32))
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_alone_or_in_batch_same_bits(cell: str) -> None:
    wx, u, h0 = Problem(cell, Case(2, 7, 20, 100)).floats()
    together = gated_recurrence(cell, wx, u, h0, None)
    for b in range(7):
        alone = gated_recurrence(cell, wx[:, b : b + 1], u, h0[:, b : b + 1], None)
        assert torch.equal(alone, together[:, b : b + 1])


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_non_contiguous_input_equals_contiguous(cell: str) -> None:
    wx, u, h0 = Problem(cell, Case(2, 3, 9, 12)).floats()
    stored = [wx.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), u.mT.contiguous().mT, h0.mT.contiguous().mT]
    assert not any(x.is_contiguous() for x in stored)
    results = []
    for inputs in (stored, [wx, u, h0]):
        leaves = [x.requires_grad_() for x in inputs]
        h = gated_recurrence(cell, *leaves, None)
        spread = torch.ones(()).expand_as(h)  # one number, repeated by strides of 0
        grad = spread if inputs is stored else spread.contiguous()
        results.append([h, *torch.autograd.grad(h, leaves, grad)])
    assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_second_backward_same_gradients(cell: str) -> None:
    problem = Problem(cell, Case(2, 3, 9, 12))
    inputs = [x.requires_grad_() for x in problem.floats()]
    h = gated_recurrence(cell, *inputs, None)
    first = torch.autograd.grad(h, inputs, problem.grad.float(), retain_graph=True)
    second = torch.autograd.grad(h, inputs, problem.grad.float())
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_nan_input_reaches_the_output(cell: str) -> None:
    for gate in range(CELLS[cell].gates):
        wx, u, h0 = Problem(cell, Case(1, 2, 6, 20)).floats()
        wx[0, 0, 3, gate * 20 + 5] = math.nan
        h = gated_recurrence(cell, wx, u, h0, None)
        assert h[0, 0, 3:, 5].isnan().all()
        assert h[0, 0, :3].isfinite().all()
        assert h[0, 1].isfinite().all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("size", [60.0, 1e4])
def test_recurrence_extreme_input_is_as_exact_as_reference(cell: str, size: float) -> None:
    problem = Problem(cell, Case(2, 3, 12, 40, masked=True))
    problem.wx *= size
    exact = problem.run("reference", torch.float64)
    same_precision = problem.run("reference", torch.float32)  # saturated gates leave it few digits
    for got, other, x in zip(problem.run("cpu", torch.float32), same_precision, exact, strict=True):
        assert (got - x).norm() <= max(1e-5 * x.norm(), 2 * (other - x).norm())


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_growing_states_equals_reference(cell: str) -> None:
    problem = Problem(cell, Case(1, 2, 40, 30, scale=1.5))
    expected = problem.run("reference", torch.float64)[0]
    got = problem.run("cpu", torch.float32)
    assert (got[0].double() - expected).norm() <= 1e-5 * expected.norm()
    assert all(x.isfinite().all() for x in got)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_no_frames_gives_no_states_and_zero_gradients(cell: str) -> None:
    problem = Problem(cell, Case(2, 3, 0, 8))
    h, grad_wx, grad_u, grad_h0 = problem.run("cpu", torch.float32)
    assert h.shape == problem.grad.shape
    assert grad_wx.shape == problem.wx.shape
    assert not grad_u.any()
    assert not grad_h0.any()


def _run_in_child(problem: Problem) -> bool:
    torch.set_num_threads(2)
    return bool(problem.run("cpu", torch.float32)[0].isfinite().all())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer Pythons warn of any fork beside threads
def test_recurrence_in_forked_process_after_use_runs() -> None:
    problem = Problem("ligru", Case(2, 3, 5, 8))
    torch.set_num_threads(2)
    problem.run("cpu", torch.float32)
    with multiprocessing.get_context("fork").Pool(1) as processes:
        assert processes.apply_async(_run_in_child, (problem,)).get(timeout=60)


@pytest.mark.parametrize("recorded", [True, False])
def test_recurrence_without_gradients_saves_nothing_for_backward(
    recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, ...]] = []
    monkeypatch.setattr(gated, "unwritten", lambda *size: sizes.append(size) or unwritten(*size))
    u = torch.randn(1, 6, 3, requires_grad=True)
    with torch.set_grad_enabled(recorded):
        gated_recurrence("ligru", torch.randn(1, 2, 4, 6), u, torch.zeros(1, 2, 3), None)
    assert sizes == ([(1, 8, 6)] if recorded else [])
