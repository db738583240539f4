"""Gated recurrences on the compiled core."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asr_ligru.ops.fused_cpu.layout import Layout
from asr_ligru.ops.fused_cpu.library import Core, Frames, Job, core
from asr_ligru.ops.fused_cpu.linear import product
from asr_ligru.ops.fused_cpu.memory import unwritten
from asr_ligru.ops.fused_cpu.pool import run_all
from asr_ligru.ops.fused_cpu.tiles import split_rows
from asr_ligru.ops.weight_gradients import of_weight


@dataclass(frozen=True)
class Cell:
    """What this side has to know of a cell of the core.

    Attributes:
        number: in csrc/api.h.
        gates: G, blocks of H in the projection.
        parts: blocks of H in the state; 2 for an LSTM's output and cell.
        own_v: whether something lies between U h and the projection's sum with it, so that their gradients differ.
        feedback: the sign with which the recurrent product reads the state.
    """

    number: int
    gates: int = 2
    parts: int = 1
    own_v: bool = False
    feedback: float = 1.0


CELLS = {
    "ligru": Cell(0),
    "libru_arith": Cell(1, feedback=-1.0),
    "libru_harm": Cell(2),
    "libru_geo": Cell(3),
    "sligru": Cell(4, own_v=True),
    "gru_bn": Cell(5, gates=3, own_v=True),
    "lstm_bn": Cell(6, gates=4, parts=2),
}


def gated_recurrence(cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, *, eps: float = 1e-5) -> Tensor:
    """Run a cell over sequences of one length.

    Args:
        cell: a key of ``CELLS``.
        wx: (D, B, T, G*H) float32 normalised projection of the input, the reverse direction already reversed.
        u: (D or 1, G*H, H) float32 recurrent weights; 1 when the directions share them.
        h0: (D, B, S) float32 state before the first frame; S is H, or 2H for an LSTM.
        mask: (D, B, H) float32 scaled dropout mask of the candidate, or None.
        eps: added to the variance of SLi-GRU's layer norm; other cells have none.

    Returns:
        (D, B, T, S) states. Gradients flow to ``wx``, ``u`` and ``h0``.
    """
    directions, batch, steps, _ = wx.shape
    layout = Layout.of_one_length(batch, steps)
    h = _apply(cell, wx.flatten(1, 2), u, h0, mask, layout, eps)
    return h.view(directions, batch, steps, h.shape[-1])


def packed_recurrence(
    cell: str, wx: Tensor, lens: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, *, eps: float = 1e-5
) -> Tensor:
    """Run a cell over packed utterances of any lengths, without reversing or padding anything.

    The second direction walks each utterance from its end.

    Args:
        cell: a key of ``CELLS``.
        wx: (N, G*H) float32 projection of the valid frames, utterance after utterance, for all directions alike; or
            (N, D * G*H), for each its own.
        lens: (B,) int64 frames of each utterance, >= 0, of sum N.
        u: (D or 1, G*H, H) float32 recurrent weights.
        h0: (D, B, S) float32 state before the first frame of each direction; S is H, or 2H for an LSTM.
        mask: (D, B, H) float32 scaled dropout mask of the candidate, or None.
        eps: added to the variance of SLi-GRU's layer norm; other cells have none.

    Returns:
        (N, D * S) states in the order of ``wx``. Gradients flow to ``wx``, ``u`` and ``h0``.
    """
    layout = Layout.of_packed(lens)
    by_direction = wx.reshape(len(wx), -1, u.shape[1]).transpose(0, 1)
    return _apply(cell, by_direction, u, h0, mask, layout, eps).transpose(0, 1).flatten(1)


def _apply(cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, layout: Layout, eps: float) -> Tensor:
    # Asked here: inside forward gradients are always off, and what needs one is said even when none will be computed.
    recorded = torch.is_grad_enabled()
    h: Tensor = _Gated.apply(cell, wx, u, h0, mask, layout, eps, recorded)  # type: ignore[no-untyped-call]
    return h


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        name: str,
        wx: Tensor,
        u: Tensor,
        h0: Tensor,
        mask: Tensor | None,
        layout: Layout,
        eps: float,
        recorded: bool,
    ) -> Tensor:
        cell, directions, training = CELLS[name], h0.shape[0], recorded and any(ctx.needs_input_grad)
        wx, h0 = _with_contiguous_units(wx), h0.contiguous()
        mask = None if mask is None else mask.contiguous()
        h = layout.unwritten(directions, wx.shape[1], h0.shape[2])
        job = _job(cell, layout, wx, h, h0, mask, eps)
        saved = unwritten(directions, *wx.shape[1:]) if training else None
        if saved is not None:
            job.saved = Frames.of(saved)
        _run(cell, job, "forward", u, directions, layout)
        if training:
            ctx.cell, ctx.layout, ctx.eps, ctx.own_wx = cell, layout, eps, len(wx)
            ctx.save_for_backward(u, h0, mask, h, saved, wx if cell.own_v else None)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor | None, ...]:
        u, h0, mask, h, saved, wx = ctx.saved_tensors
        cell: Cell = ctx.cell
        layout: Layout = ctx.layout
        grad_h, grad_h0 = _with_contiguous_units(grad_h), torch.empty_like(h0)
        shared = ctx.own_wx < len(h)
        grad_wx = unwritten(*saved.shape) if shared else layout.unwritten(*saved.shape)
        grad_v = unwritten(*saved.shape) if cell.own_v else grad_wx
        job = _job(cell, layout, wx, h, h0, mask, ctx.eps)
        job.saved, job.grad_h, job.grad_wx = Frames.of(saved), Frames.of(grad_h), Frames.of(grad_wx)
        if cell.own_v:
            job.grad_v = Frames.of(grad_v)
        job.grad_h0 = grad_h0.data_ptr()
        _run(cell, job, "backward", u, len(h), layout)
        grad_u = of_weight(u, lambda: _weight_gradient(cell.feedback, len(u), grad_v, layout.before(h, h0, u.shape[2])))
        return None, grad_wx.sum(0, keepdim=True) if shared else grad_wx, grad_u, grad_h0, None, None, None, None


def _with_contiguous_units(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _job(cell: Cell, layout: Layout, wx: Tensor | None, h: Tensor, h0: Tensor, mask: Tensor | None, eps: float) -> Job:
    """Fill in what forward and backward share."""
    job = Job(cell=cell.number, hidden=h.shape[2] // cell.parts, batch=len(layout.lens), eps=eps)
    job.start, job.length, job.reversed = layout.start.data_ptr(), layout.lens.data_ptr(), 2 if layout.reverse else 0
    job.h, job.h0 = Frames.of(h), h0.data_ptr()
    if wx is not None:
        job.wx = Frames.of(wx.expand(len(h), -1, -1))
    if mask is not None:
        job.mask = mask.data_ptr()
    return job


def _run(cell: Cell, job: Job, which: str, u: Tensor, directions: int, layout: Layout) -> None:
    """Pack the recurrent weights and run all rows, in as many calls as torch has threads."""
    build = core()
    shared = len(u) == 1
    panels = [_pack(cell, build, which, weights.contiguous()) for weights in u]
    tiles = split_rows(directions, layout.lens, shared=shared, threads=torch.get_num_threads())
    jobs = [Job.from_buffer_copy(job) for _ in tiles]
    for part, rows in zip(jobs, tiles, strict=True):
        part.rows, part.order = len(rows), rows.data_ptr()
        part.panels = panels[0 if shared else int(rows[0]) // job.batch].data_ptr()
    function = getattr(build, which)
    run_all([functools.partial(function, ctypes.byref(part)) for part in jobs])


def _pack(cell: Cell, build: Core, which: str, u: Tensor) -> Tensor:
    hidden = u.shape[1]
    panels = torch.empty(build.panel_floats(cell.gates, hidden), dtype=torch.float32)
    pack = build.pack_forward if which == "forward" else build.pack_backward
    pack(cell.gates, hidden, u.data_ptr(), panels.data_ptr())
    return panels


def _weight_gradient(feedback: float, own: int, grad_v: Tensor, before: Tensor) -> Tensor:
    """Sum gradient (x) state before over all frames: one matrix product for each of the ``own`` recurrent matrices."""
    if own == 1:
        grad_v, before = grad_v.flatten(0, 1).unsqueeze(0), before.flatten(0, 1).unsqueeze(0)
    own_grads = [product(grad.t(), states) for grad, states in zip(grad_v, before, strict=True)]
    return torch.stack(own_grads).mul_(feedback)
