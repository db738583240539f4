"""The Triton kernels on a GPU against the reference loop in float64 there. Needs torch, triton and pytest only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from recurrence_case import NAMES
from tolerance import assert_all_close
from torch import Tensor
from triton_case import CELLS, why_not_here

from asr_ligru.errors import ConfigError
from asr_ligru.ops import dispatch
from asr_ligru.ops.packing import Packing

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(why_not_here()), reason=why_not_here() or "triton is here")]

SIZES = [(63, 1), (63, 5), (63, 64), (63, 300), (63, 512), (63, 550), (63, 1024)]
LENGTHS = [(1, 550), (2, 550), (500, 64), (500, 550), (1000, 300), (1000, 1024)]
# Relative to the norm, for operands rounded to 8 or 11 bits: of the states, and of gradients that passed 63 frames.
HALF = {torch.bfloat16: (1e-2, 2e-2), torch.float16: (2e-3, 4e-3)}


@dataclass(frozen=True)
class Packed:
    """Utterances of mixed lengths, the longest of ``num_frames``, packed."""

    cell: str
    num_frames: int
    hidden: int
    own: int = 1
    batch: int = 3
    masked: bool = True

    def inputs(self) -> tuple[list[Tensor], Tensor | None, Packing]:
        """Return wx, u and h0 in float64, the mask and the packing, on the GPU."""
        lens = torch.linspace(self.num_frames, 1, self.batch).long()
        random = torch.Generator().manual_seed(3)
        wx = torch.randn(int(lens.sum()), self.own, 2, self.hidden, generator=random, dtype=torch.float64)
        # Candidates stay away from 0: there the gradient of a ReLU depends on the last bit of its input.
        wx[:, :, 0] += 4 * wx[:, :, 0].sign()
        u = torch.randn(self.own, 2 * self.hidden, self.hidden, generator=random, dtype=torch.float64)
        h0 = torch.rand(2, self.batch, self.hidden, generator=random, dtype=torch.float64)
        mask = (torch.rand(2, self.batch, self.hidden, generator=random) < 0.8).double() / 0.8
        tensors = [x.cuda() for x in (wx.flatten(1), u * 0.2 / math.sqrt(self.hidden), h0)]
        return tensors, mask.cuda() if self.masked else None, Packing(lens.cuda(), self.num_frames, 2)

    def run(self, backend: str, dtype: torch.dtype = torch.float64, rounded: torch.dtype | None = None) -> list[Tensor]:
        """Return states and gradients of wx, u and h0, computed in ``dtype`` from inputs ``rounded`` to another."""
        inputs, mask, packing = self.inputs()
        leaves = [x.to(rounded or dtype).to(dtype).requires_grad_() for x in inputs]
        # a layer norm of two numbers makes them -1 and 1, unless eps is large
        options: dict[str, Any] = {"eps": 1.0} if self.cell == "sligru" and self.hidden == 1 else {}
        wx, u, h0 = leaves
        mask = None if mask is None else mask.to(dtype)
        padding = torch.zeros(u.shape[1], dtype=dtype, device="cuda")
        h = dispatch.packed(self.cell, wx, packing, u, h0, mask, padding=padding, backend=backend, **options)
        random = torch.Generator().manual_seed(4)
        weights = torch.randn(h.shape, generator=random, dtype=torch.float64).cuda()
        return [h.detach(), *torch.autograd.grad(h, leaves, weights.to(h.dtype))]


@pytest.mark.parametrize(("num_frames", "hidden"), [*SIZES, *LENGTHS])
@pytest.mark.parametrize("cell", CELLS)
def test_packed_float32_equals_reference_in_float64(cell: str, num_frames: int, hidden: int) -> None:
    case = Packed(cell, num_frames, hidden)
    assert_all_close(case.run("triton", torch.float32), case.run("reference"), NAMES)


@pytest.mark.parametrize("cell", CELLS)
def test_packed_own_weights_and_many_rows_equal_reference(cell: str) -> None:
    case = Packed(cell, 20, 300, own=2, batch=70, masked=False)
    assert_all_close(case.run("triton", torch.float32), case.run("reference"), NAMES)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("hidden", [5, 64, 550, 1024])
@pytest.mark.parametrize("cell", CELLS)
def test_packed_half_precision_stays_within_its_rounding(cell: str, hidden: int, dtype: torch.dtype) -> None:
    case = Packed(cell, 63, hidden, batch=16)
    exact = case.run("reference", rounded=dtype)
    of_states, of_gradients = HALF[dtype]
    for x, y, name in zip(case.run("triton", dtype), exact, NAMES, strict=True):
        distance = float((x - y).norm() / y.norm())
        assert distance <= (of_states if name == "states" else of_gradients), f"{name} differs by {distance:.1e}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_packed_run_twice_same_bits(cell: str, dtype: torch.dtype) -> None:
    case = Packed(cell, 300, 550, batch=16)
    first = case.run("triton", dtype)
    for _ in range(3):
        assert all(torch.equal(x, y) for x, y in zip(first, case.run("triton", dtype), strict=True))


@pytest.mark.parametrize("hidden", [64, 550])
def test_packed_frame_by_frame_equals_all_at_once(hidden: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from asr_ligru.ops.fused_triton import launch

    case = Packed("ligru", 20, hidden)
    at_once = case.run("triton", torch.float32)
    here = launch.Device.of(torch.device("cuda"))
    monkeypatch.setattr(launch.Device, "of", lambda _: launch.Device(1, here.shared_bytes))
    assert_all_close(case.run("triton", torch.float32), at_once, NAMES)


def test_packed_on_two_streams_equals_one_after_the_other() -> None:
    case = Packed("ligru", 200, 300)
    expected = case.run("triton", torch.float32)
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    found = []
    for _ in range(4):
        for stream in streams:
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                found.append(case.run("triton", torch.float32))
    torch.cuda.synchronize()
    for each in found:
        assert_all_close(each, expected, NAMES)


def test_recurrence_padded_layout_equals_reference() -> None:
    random = torch.Generator().manual_seed(3)
    wx, h0 = torch.randn(2, 4, 9, 20, generator=random).cuda(), torch.rand(2, 4, 10, generator=random).cuda()
    u = torch.randn(1, 20, 10, generator=random).cuda() * 0.1
    got = dispatch.recurrence("ligru", wx, u, h0, backend="triton")
    assert_all_close([got], [dispatch.recurrence("ligru", wx.double(), u.double(), h0.double())], NAMES[:1])


def test_recurrence_float64_is_refused_by_triton_and_stepped_by_auto() -> None:
    case = Packed("ligru", 5, 5)
    with pytest.raises(ConfigError, match="carry their state in float32"):
        case.run("triton")
    assert_all_close(case.run("auto"), case.run("reference"), NAMES)
