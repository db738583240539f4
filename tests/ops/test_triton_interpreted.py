"""The Triton kernels run by triton's interpreter on the CPU, against the reference loops: small odd sizes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from recurrence_case import NAMES, Case, recurrence
from tolerance import assert_all_close, assert_close
from torch import Tensor
from triton_case import CELLS, why_not_interpreted

if why_not_interpreted():
    pytest.skip(why_not_interpreted(), allow_module_level=True)

from triton.runtime.interpreter import interpreter_builder

from asr_ligru.ops.fused_triton import launch, plan
from asr_ligru.ops.fused_triton.gated import packed_recurrence

# what numpy says of triton 3.6's interpreter
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")

STEPPED = [cell for cell in CELLS if cell != "sligru"]  # whose programs meet once a frame
SMALL = {"batch_size": 5, "num_frames": 2, "hidden_size": 9}  # two tiles, two groups of rows, both not full


@pytest.mark.parametrize("cell", STEPPED)
def test_kernel_frame_by_frame_equals_reference(cell: str) -> None:
    case = Case(cell, own=2, **SMALL)
    assert_all_close(case.with_dtype(torch.float32).run("triton"), case.run("reference"), NAMES)


@pytest.mark.parametrize("shape", [{"own": 1, "masked": False}, {"own": 1, "directions": 1, "batch_size": 1}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_kernel_all_frames_at_once_equals_reference(cell: str, shape: dict[str, Any]) -> None:
    case = Case(cell, **{"batch_size": 2, "num_frames": 3, "hidden_size": 5, **shape})
    assert_all_close(case.with_dtype(torch.float32).run("triton"), case.run("reference"), NAMES)


def test_kernel_sligru_other_eps_equals_reference() -> None:
    case = Case("sligru", batch_size=1, num_frames=2)
    got = case.with_dtype(torch.float32).run("triton", eps=0.1)
    assert_all_close(got, case.run("reference", eps=0.1), NAMES)


@pytest.mark.parametrize("cell", CELLS)
def test_kernel_run_twice_same_bits(cell: str) -> None:
    case = Case(cell, batch_size=1, num_frames=2, dtype=torch.float32)
    assert all(torch.equal(x, y) for x, y in zip(case.run("triton"), case.run("triton"), strict=True))


@pytest.mark.parametrize("own", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_packed_mixed_lengths_equals_each_utterance_alone(cell: str, own: int) -> None:
    lens = torch.tensor([2, 1, 4])
    _, u, h0, mask = Case(cell, own=own, hidden_size=4).inputs()
    wx = torch.randn(7, own * u.shape[1], dtype=torch.float64)

    def alone(wx: Tensor, u: Tensor, h0: Tensor) -> Tensor:
        run, rows = recurrence(cell, "reference"), []
        for b, x in enumerate(wx.split(lens.tolist())):
            x = x.view(len(x), own, -1).transpose(0, 1).expand(2, -1, -1)
            h = run(torch.stack((x[0], x[1].flip(0))).unsqueeze(1), u, h0[:, b : b + 1], mask[:, b : b + 1])
            rows.append(torch.cat((h[0, 0], h[1, 0].flip(0)), dim=1))
        return torch.cat(rows)

    def packed(wx: Tensor, u: Tensor, h0: Tensor) -> Tensor:
        return packed_recurrence(cell, wx, lens, 5, u, h0, mask.float())

    expected = with_gradients(alone, (wx, u, h0))
    assert_all_close(with_gradients(packed, (wx.float(), u.float(), h0.float())), expected, NAMES)


def with_gradients(run: Callable[..., Tensor], inputs: Iterable[Tensor]) -> list[Tensor]:
    """Return the result of ``run``, and the gradients of its inputs from a weighted sum of it."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    h = run(*leaves)
    weights = torch.randn(h.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return [h.detach(), *torch.autograd.grad(h, leaves, weights.to(h.dtype))]


@pytest.mark.parametrize("cell", CELLS)
def test_kernel_float16_operands_stay_within_their_rounding(cell: str) -> None:
    # not bfloat16: the interpreter multiplies its bits as integers
    case = Case(cell, batch_size=2, num_frames=3, hidden_size=9, dtype=torch.float16)
    inputs = case.inputs()
    wx, u, h0, mask = (None if x is None else x.double() for x in inputs)
    expected = with_gradients(lambda *x: recurrence(cell, "reference")(*x, mask), (wx, u, h0))
    got = with_gradients(lambda *x: recurrence(cell, "triton")(*x, inputs[3]), inputs[:3])
    assert [x.dtype for x in got] == [torch.float32, torch.float16, torch.float16, torch.float16]
    for x, y, name in zip(got, expected, NAMES, strict=True):
        assert (x - y).norm() <= 2 * torch.finfo(torch.float16).eps * y.norm(), name


@pytest.mark.parametrize("cell", CELLS)
def test_kernel_without_gradients_same_bits(cell: str) -> None:
    wx, u, h0, mask = Case(cell, batch_size=1, num_frames=2, dtype=torch.float32).inputs()
    run = recurrence(cell, "triton")
    assert torch.equal(run(wx, u, h0, mask), run(wx.requires_grad_(), u, h0, mask))


def test_kernel_any_strides_equal_contiguous() -> None:
    wx, u, h0, mask = Case("ligru", own=2, batch_size=2, num_frames=2, dtype=torch.float32).inputs()
    stored = [x.permute(*reversed(range(x.dim()))).contiguous().permute(*reversed(range(x.dim()))) for x in (wx, u, h0)]
    expected = with_gradients(lambda *x: recurrence("ligru", "triton")(*x, mask), (wx, u, h0))
    got = with_gradients(lambda *x: recurrence("ligru", "triton")(*x, mask), stored)
    assert_all_close(got, expected, NAMES)


def test_kernel_no_frames_gives_no_states_and_zero_gradients() -> None:
    wx, u, h0, _ = Case("ligru", batch_size=2, num_frames=0, dtype=torch.float32).inputs()
    h, d_wx, d_u, d_h0 = with_gradients(recurrence("ligru", "triton"), (wx, u, h0))
    assert (h.shape, d_wx.shape) == ((2, 2, 0, 5), wx.shape)
    assert not d_u.any()
    assert not d_h0.any()


def test_kernel_nan_in_one_row_stays_in_it() -> None:
    wx, u, h0, mask = Case("ligru", batch_size=3, num_frames=3, dtype=torch.float32).inputs()
    expected = recurrence("ligru", "triton")(wx, u, h0, mask)
    wx[0, 1, 1, 0] = torch.nan
    got = recurrence("ligru", "triton")(wx, u, h0, mask)
    assert got[0, 1, 2].isnan().all()
    got[0, 1], expected[0, 1] = 0, 0
    assert_close(got, expected)


def _one_program(kernel: Any, place: tuple[int, int, int], arguments: dict[str, Any]) -> None:
    interpreter_builder.set_grid_idx = lambda *_: setattr(interpreter_builder, "grid_idx", place)
    kernel[1, 1](**arguments)


def _all_at_once(self: launch.Launch, kernel: Any, groups: int, arguments: dict[str, Any]) -> None:
    for value in arguments.values():
        if isinstance(value, Tensor):
            value.share_memory_()
    fork = multiprocessing.get_context("fork")
    places = [(tile, group, 0) for tile in range(self.plan.tiles) for group in range(groups)]
    programs = [fork.Process(target=_one_program, args=(kernel, place, arguments)) for place in places]
    for program in programs:
        program.start()
    for program in programs:
        program.join(60)
        assert program.exitcode == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer Pythons warn of any fork beside threads
@pytest.mark.parametrize("cell", ["ligru", "sligru"])
def test_kernel_programs_at_the_same_time_equal_reference(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each program in a process of its own: they really wait for each other and read what the others wrote."""
    monkeypatch.setattr(launch.Device, "of", lambda _: plan.Device(programs=2, shared_bytes=1 << 20))
    monkeypatch.setattr(launch.Launch, "_launch", _all_at_once)
    case = Case(cell, batch_size=4, num_frames=5, hidden_size=13, masked=False)
    assert_all_close(case.with_dtype(torch.float32).run("triton"), case.run("reference"), NAMES)


def test_kernel_partner_that_never_comes_gives_nan_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_the_first(self: launch.Launch, kernel: Any, groups: int, arguments: dict[str, Any]) -> None:
        kernel[1, 1](**arguments)

    monkeypatch.setattr(launch.Device, "of", lambda _: plan.Device(programs=2, shared_bytes=1 << 20))
    monkeypatch.setattr(launch.Launch, "_launch", only_the_first)
    monkeypatch.setattr(launch, "PATIENCE", 5)
    wx, u, h0, _ = Case("ligru", batch_size=4, num_frames=5, hidden_size=13, dtype=torch.float32).inputs()
    h = recurrence("ligru", "triton")(wx, u, h0)[..., :8]
    assert h[:, :, 0].isfinite().all()  # nobody is waited for before the first frame
    assert h[:, :, 1:].isnan().all()
