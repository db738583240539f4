"""The light gated cells (a candidate and a keep gate) on the compiled core."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asr_ligru.ops.fused_cpu.library import Core, Frames, Job, core
from asr_ligru.ops.fused_cpu.linear import product
from asr_ligru.ops.fused_cpu.pool import run_all
from asr_ligru.ops.fused_cpu.tiles import split_rows

# Numbers of the cells in csrc/api.h, and the sign with which the recurrent product reads the state.
CELLS = {"ligru": (0, 1.0), "libru_arith": (1, -1.0), "libru_harm": (2, 1.0), "libru_geo": (3, 1.0)}


def gated_recurrence(cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None) -> Tensor:
    """Run a light gated cell over sequences of one length.

    Args:
        cell: a key of ``CELLS``.
        wx: (D, B, T, 2H) float32 normalised projection of the input, candidate first, then the keep gate; the reverse
            direction already reversed.
        u: (D or 1, 2H, H) float32 recurrent weights in the same order; 1 when the directions share them.
        h0: (D, B, H) float32 state before the first frame.
        mask: (D, B, H) float32 scaled dropout mask of the candidate, or None.

    Returns:
        (D, B, T, H) states. Gradients flow to ``wx``, ``u`` and ``h0``.
    """
    directions, batch, steps, _ = wx.shape
    start = torch.arange(batch) * steps
    layout = _Layout(start, torch.full_like(start, steps), reverse=False, interleaved=False)
    h: Tensor = _Gated.apply(cell, wx.flatten(1, 2), u, h0, mask, layout)  # type: ignore[no-untyped-call]
    return h.view(directions, batch, steps, h.shape[-1])


def packed_recurrence(cell: str, wx: Tensor, lens: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None) -> Tensor:
    """Run a light gated cell over packed utterances of any lengths, without reversing or padding anything.

    The second direction walks each utterance from its end.

    Args:
        cell: a key of ``CELLS``.
        wx: (N, 2H) float32 projection of the valid frames, utterance after utterance, for all directions alike; or
            (N, D * 2H), for each its own.
        lens: (B,) int64 frames of each utterance, >= 0, of sum N.
        u: (D or 1, 2H, H) float32 recurrent weights.
        h0: (D, B, H) float32 state before the first frame of each direction.
        mask: (D, B, H) float32 scaled dropout mask of the candidate, or None.

    Returns:
        (N, D * H) states in the order of ``wx``. Gradients flow to ``wx``, ``u`` and ``h0``.
    """
    layout = _Layout(lens.cumsum(0) - lens, lens.contiguous(), reverse=True, interleaved=True)
    by_direction = wx.reshape(len(wx), -1, u.shape[1]).transpose(0, 1)
    h: Tensor = _Gated.apply(cell, by_direction, u, h0, mask, layout)  # type: ignore[no-untyped-call]
    return h.transpose(0, 1).flatten(1)


@dataclass(frozen=True)
class _Layout:
    """Where utterances lie in tensors (D, N, units) over all their frames.

    Attributes:
        start: (B,) int64 first frame of each utterance.
        lens: (B,) int64 frames of each.
        reverse: whether direction 1 walks from the last frame to the first.
        interleaved: whether the directions of a frame lie side by side in memory.
    """

    start: Tensor
    lens: Tensor
    reverse: bool
    interleaved: bool

    def empty(self, directions: int, like: Tensor, units: int) -> Tensor:
        """Return an unwritten (D, N, units)."""
        frames = like.shape[1]
        if self.interleaved:
            return like.new_empty(frames, directions, units).transpose(0, 1)
        return like.new_empty(directions, frames, units)

    def before(self, h: Tensor, h0: Tensor) -> Tensor:
        """Return the state before each frame, (D, N, H) with frames of a direction contiguous."""
        before = h.new_empty(h.shape)
        first, last = self.start[self.lens > 0], (self.start + self.lens - 1)[self.lens > 0]
        for d, states in enumerate(h):
            backwards = self.reverse and d == 1
            into, of = (slice(None, -1), slice(1, None)) if backwards else (slice(1, None), slice(None, -1))
            before[d, into] = states[of]
            before[d, last if backwards else first] = h0[d, self.lens > 0]
        return before


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, layout: _Layout) -> Tensor:
        training = any(ctx.needs_input_grad)
        directions, width = h0.shape[0], wx.shape[2]
        wx, h0 = _with_contiguous_units(wx), h0.contiguous()
        mask = None if mask is None else mask.contiguous()
        h = layout.empty(directions, wx, width // 2)
        job = _job(cell, layout, h, h0, mask)
        job.wx = Frames.of(wx.expand(directions, -1, -1))
        pre = wx.new_empty(directions, wx.shape[1], width) if training else None
        if pre is not None:
            job.pre = Frames.of(pre)
        _run(job, "forward", u, directions, layout)
        if training:
            ctx.cell, ctx.layout, ctx.shared_wx = cell, layout, len(wx) < directions
            ctx.save_for_backward(u, h0, mask, h, pre)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor | None, ...]:
        u, h0, mask, h, pre = ctx.saved_tensors
        layout: _Layout = ctx.layout
        grad_h, grad_h0 = _with_contiguous_units(grad_h), torch.empty_like(h0)
        grad_pre = torch.empty_like(pre) if ctx.shared_wx else layout.empty(len(h), h, pre.shape[2])
        job = _job(ctx.cell, layout, h, h0, mask)
        job.pre, job.grad_h, job.grad_pre = Frames.of(pre), Frames.of(grad_h), Frames.of(grad_pre)
        job.grad_h0 = grad_h0.data_ptr()
        _run(job, "backward", u, len(h), layout)
        grad_u = _weight_gradient(CELLS[ctx.cell][1], len(u), grad_pre, layout.before(h, h0))
        grad_wx = grad_pre.sum(0, keepdim=True) if ctx.shared_wx else grad_pre
        return None, grad_wx, grad_u, grad_h0, None, None


def _with_contiguous_units(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _job(cell: str, layout: _Layout, h: Tensor, h0: Tensor, mask: Tensor | None) -> Job:
    """Fill in what forward and backward share."""
    job = Job(cell=CELLS[cell][0], hidden=h.shape[2], batch=len(layout.lens), reversed=2 if layout.reverse else 0)
    job.start, job.length = layout.start.data_ptr(), layout.lens.data_ptr()
    job.h, job.h0 = Frames.of(h), h0.data_ptr()
    if mask is not None:
        job.mask = mask.data_ptr()
    return job


def _run(job: Job, which: str, u: Tensor, directions: int, layout: _Layout) -> None:
    """Pack the recurrent weights and run all rows, in as many calls as torch has threads."""
    build = core()
    shared = len(u) == 1
    panels = [_pack(build, which, weights.contiguous()) for weights in u]
    tiles = split_rows(directions, layout.lens, shared=shared, threads=torch.get_num_threads())
    jobs = [Job.from_buffer_copy(job) for _ in tiles]
    for part, rows in zip(jobs, tiles, strict=True):
        part.rows, part.order = len(rows), rows.data_ptr()
        part.panels = panels[0 if shared else int(rows[0]) // job.batch].data_ptr()
    function = getattr(build, which)
    run_all([functools.partial(function, ctypes.byref(part)) for part in jobs])


def _pack(build: Core, which: str, u: Tensor) -> Tensor:
    hidden = u.shape[1]
    panels = torch.empty(build.panel_floats(hidden), dtype=torch.float32)
    pack = build.pack_forward if which == "forward" else build.pack_backward
    pack(hidden, u.data_ptr(), panels.data_ptr())
    return panels


def _weight_gradient(sign: float, own: int, grad_pre: Tensor, before: Tensor) -> Tensor:
    """Sum gradient (x) state before over all frames: one matrix product for each of the ``own`` recurrent matrices."""
    if own == 1:
        grad_pre, before = grad_pre.flatten(0, 1).unsqueeze(0), before.flatten(0, 1).unsqueeze(0)
    return sign * torch.stack([product(grad.t(), states) for grad, states in zip(grad_pre, before, strict=True)])
