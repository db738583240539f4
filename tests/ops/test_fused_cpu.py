"""The compiled recurrence against the reference loops in float64, forward and every gradient."""

from __future__ import annotations

import importlib
import math
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from asr_ligru.ops import fused_cpu
from asr_ligru.ops.fused_cpu import library
from asr_ligru.ops.fused_cpu.gated import CELLS, gated_recurrence, packed_recurrence
from asr_ligru.ops.packing import Packing

pytestmark = pytest.mark.skipif(bool(fused_cpu.refusal()), reason=fused_cpu.refusal() or "compiled")

Recurrence = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]


@dataclass
class Case:
    """Random inputs of a recurrence in float64, gentle enough for states to stay bounded."""

    directions: int
    batch: int
    steps: int
    hidden: int
    own: int = 1
    masked: bool = False
    scale: float = 0.4

    def __post_init__(self) -> None:
        random = torch.Generator().manual_seed(7)
        shape = (self.directions, self.batch)
        draw = lambda *size: torch.randn(*size, generator=random, dtype=torch.float64)  # noqa: E731
        self.wx = draw(*shape, self.steps, 2 * self.hidden)
        self.u = draw(self.own, 2 * self.hidden, self.hidden) * (self.scale / math.sqrt(self.hidden))
        self.h0 = draw(*shape, self.hidden).abs()
        self.grad = draw(*shape, self.steps, self.hidden)
        kept = (torch.rand(*shape, self.hidden, generator=random) > 0.2).double() / 0.8
        self.mask = kept if self.masked else None

    def run(self, recurrence: Recurrence, dtype: torch.dtype) -> list[Tensor]:
        """Return states and the gradients to wx, u and h0."""
        inputs = [x.to(dtype).requires_grad_() for x in (self.wx, self.u, self.h0)]
        mask = None if self.mask is None else self.mask.to(dtype)
        h = recurrence(*inputs, mask)
        return [h.detach(), *torch.autograd.grad(h, inputs, self.grad.to(dtype))]


def reference(cell: str) -> Recurrence:
    return importlib.import_module(f"asr_ligru.ops.{cell}.reference").recurrence


def fused(cell: str) -> Recurrence:
    return importlib.import_module(f"asr_ligru.ops.{cell}.cpu").recurrence


def assert_close(got: list[Tensor], expected: list[Tensor]) -> None:
    for name, x, y in zip(("h", "wx", "u", "h0"), got, expected, strict=True):
        assert x.shape == y.shape
        distance = (x.double() - y).norm() / y.norm()
        assert distance <= 1e-5, f"{name} differs by {distance:.1e}"


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
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
    assert_close(case.run(fused(cell), torch.float32), case.run(reference(cell), torch.float64))


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
            assert_close(case.run(fused(cell), torch.float32), case.run(reference(cell), torch.float64))
    finally:
        library._load.cache_clear()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("directions", "own"), [(1, 1), (2, 1), (2, 2)])
def test_packed_recurrence_mixed_lengths_equals_reference_of_each_utterance(
    cell: str, directions: int, own: int
) -> None:
    lens = torch.tensor([11, 30, 1, 22])
    case = Case(directions, 4, 30, 21, own=own, masked=True)
    packing = Packing(lens, 30, directions)
    wx = torch.randn(int(lens.sum()), own * 42, dtype=torch.float64)
    grad = torch.randn(len(wx), directions * 21, dtype=torch.float64)
    keep = torch.cat((torch.zeros(21), torch.full((21,), 1e4)))

    def padded(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor) -> Tensor:
        return packing.collect(reference(cell)(packing.spread(wx, keep), u, h0, mask))

    def packed(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor) -> Tensor:
        return packed_recurrence(cell, wx, lens, u, h0, mask)

    def run(recurrence: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        inputs = [x.to(dtype).requires_grad_() for x in (wx, case.u, case.h0)]
        h = recurrence(*inputs, case.mask.to(dtype))
        return [h.detach(), *torch.autograd.grad(h, inputs, grad.to(dtype))]

    assert_close(run(packed, torch.float32), run(padded, torch.float64))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("_threads")
def test_recurrence_any_thread_count_same_bits(cell: str) -> None:
    case = Case(2, 16, 20, 100, masked=True)
    results = []
    for threads in (1, 2, 1, 5):
        torch.set_num_threads(threads)
        results.append(case.run(fused(cell), torch.float32))
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_alone_or_in_batch_same_bits(cell: str) -> None:
    case = Case(2, 7, 20, 100)
    wx, u, h0 = (x.float() for x in (case.wx, case.u, case.h0))
    together = gated_recurrence(cell, wx, u, h0, None)
    for b in range(7):
        alone = gated_recurrence(cell, wx[:, b : b + 1], u, h0[:, b : b + 1], None)
        assert torch.equal(alone, together[:, b : b + 1])


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_non_contiguous_input_equals_contiguous(cell: str) -> None:
    case = Case(2, 3, 9, 12)
    wx, u, h0 = (x.float() for x in (case.wx, case.u, case.h0))
    expected = gated_recurrence(cell, wx, u, h0, None)
    stored = [wx.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), u.mT.contiguous().mT, h0.mT.contiguous().mT]
    assert not any(x.is_contiguous() for x in stored)
    leaves = [x.requires_grad_() for x in stored]
    h = gated_recurrence(cell, *leaves, None)
    assert torch.equal(h, expected)
    grads = torch.autograd.grad(h.sum(), leaves)  # the gradient to h is one number, repeated by strides of 0
    plain = [x.contiguous().detach().requires_grad_() for x in leaves]
    others = torch.autograd.grad(gated_recurrence(cell, *plain, None), plain, torch.ones_like(h))
    assert all(torch.equal(x, y) for x, y in zip(grads, others, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_second_backward_same_gradients(cell: str) -> None:
    case = Case(2, 3, 9, 12)
    inputs = [x.float().requires_grad_() for x in (case.wx, case.u, case.h0)]
    h = gated_recurrence(cell, *inputs, None)
    first = torch.autograd.grad(h, inputs, case.grad.float(), retain_graph=True)
    second = torch.autograd.grad(h, inputs, case.grad.float())
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("place", ["candidate", "gate"])
def test_recurrence_nan_input_reaches_the_output(cell: str, place: str) -> None:
    case = Case(1, 2, 6, 20, scale=0.0)
    wx = case.wx.float()
    wx[0, 0, 3, 5 if place == "candidate" else 25] = math.nan
    h = gated_recurrence(cell, wx, case.u.float(), case.h0.float(), None)
    assert h[0, 0, 3:, 5].isnan().all()
    assert h[0, 0, :3].isfinite().all()
    assert h[0, 1].isfinite().all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("size", [60.0, 1e4])
def test_recurrence_extreme_input_equals_reference(cell: str, size: float) -> None:
    case = Case(2, 3, 12, 40, masked=True)
    case.wx *= size
    assert_close(case.run(fused(cell), torch.float32), case.run(reference(cell), torch.float32))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_growing_states_equals_reference(cell: str) -> None:
    case = Case(1, 2, 40, 30, scale=1.5)
    expected = case.run(reference(cell), torch.float64)
    got = case.run(fused(cell), torch.float32)
    assert (got[0].double() - expected[0]).norm() <= 1e-5 * expected[0].norm()
    assert all(x.isfinite().all() for x in got)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_no_frames_gives_no_states_and_zero_gradients(cell: str) -> None:
    case = Case(2, 3, 0, 8)
    h, grad_wx, grad_u, grad_h0 = case.run(fused(cell), torch.float32)
    assert h.shape == (2, 3, 0, 8)
    assert grad_wx.shape == (2, 3, 0, 16)
    assert not grad_u.any()
    assert not grad_h0.any()


def _run_in_child(case: Case) -> bool:
    torch.set_num_threads(2)
    return bool(case.run(fused("ligru"), torch.float32)[0].isfinite().all())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer Pythons warn of any fork beside threads
@pytest.mark.usefixtures("_threads")
def test_recurrence_in_forked_process_after_use_runs() -> None:
    case = Case(2, 3, 5, 8)
    torch.set_num_threads(2)
    case.run(fused("ligru"), torch.float32)
    with multiprocessing.get_context("fork").Pool(1) as processes:
        assert processes.apply_async(_run_in_child, (case,)).get(timeout=60)
