"""The light gated cells (a candidate and a keep gate) on the compiled core."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor

from asr_ligru.ops.fused_cpu.library import Core, Job, Tensor4, core
from asr_ligru.ops.fused_cpu.linear import product
from asr_ligru.ops.fused_cpu.pool import run_all
from asr_ligru.ops.fused_cpu.tiles import split_rows

# Numbers of the cells in csrc/api.h, and the sign with which the recurrent product reads the state.
CELLS = {"ligru": (0, 1.0), "libru_arith": (1, -1.0), "libru_harm": (2, 1.0), "libru_geo": (3, 1.0)}


def gated_recurrence(cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None) -> Tensor:
    """Run a light gated cell over time on the compiled core.

    Args:
        cell: a key of ``CELLS``.
        wx: (D, B, T, 2H) float32 normalised feed-forward projection, candidate then keep gate; the reverse direction
            already reversed.
        u: (D or 1, 2H, H) float32 recurrent weights; 1 is shared by both directions.
        h0: (D, B, H) float32 initial state.
        mask: (D, B, H) float32 recurrent dropout on the candidate, already scaled, or None.

    Returns:
        (D, B, T, H) states. Gradients flow to ``wx``, ``u`` and ``h0``.
    """
    result: Tensor = _Gated.apply(cell, wx, u, h0, mask)  # type: ignore[no-untyped-call]
    return result


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None) -> Tensor:
        training = any(ctx.needs_input_grad)
        directions, batch, steps, width = wx.shape
        wx = wx if wx.stride(-1) == 1 else wx.contiguous()
        h0, mask = h0.contiguous(), None if mask is None else mask.contiguous()
        h = wx.new_empty(directions, batch, steps, width // 2)
        pre = wx.new_empty(wx.shape) if training else None
        job = _job(cell, h, h0, mask)
        job.wx = Tensor4.of(wx)
        if pre is not None:
            job.pre = Tensor4.of(pre)
        _run(job, "forward", u, directions)
        if training:
            ctx.cell = cell
            ctx.save_for_backward(u, h0, mask, h, pre)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor | None, ...]:
        u, h0, mask, h, pre = ctx.saved_tensors
        grad_h = grad_h if grad_h.stride(-1) == 1 else grad_h.contiguous()
        grad_pre, grad_h0 = torch.empty_like(pre), torch.empty_like(h0)
        job = _job(ctx.cell, h, h0, mask)
        job.pre, job.grad_h, job.grad_pre = Tensor4.of(pre), Tensor4.of(grad_h), Tensor4.of(grad_pre)
        job.grad_h0 = grad_h0.data_ptr()
        _run(job, "backward", u, h.shape[0])
        grad_u = _weight_gradient(CELLS[ctx.cell][1], u, h0, h, grad_pre) if ctx.needs_input_grad[2] else None
        return None, grad_pre, grad_u, grad_h0, None


def _job(cell: str, h: Tensor, h0: Tensor, mask: Tensor | None) -> Job:
    _, batch, steps, hidden = h.shape
    job = Job(cell=CELLS[cell][0], hidden=hidden, batch=batch, steps=steps, h=Tensor4.of(h), h0=h0.data_ptr())
    if mask is not None:
        job.mask = mask.data_ptr()
    return job


def _run(job: Job, which: str, u: Tensor, directions: int) -> None:
    """Pack the recurrent weights and run all rows, in as many calls as torch has threads."""
    build = core()
    shared = len(u) == 1
    panels = [_pack(build, which, weights.contiguous()) for weights in u]
    tiles = split_rows(directions, job.batch, shared=shared, threads=torch.get_num_threads())
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


def _weight_gradient(sign: float, u: Tensor, h0: Tensor, h: Tensor, grad_pre: Tensor) -> Tensor:
    """Sum gradient (x) previous state over all frames: one matrix product per recurrent matrix."""
    hidden = h.shape[-1]
    before = torch.cat([h0[:, :, None], h[:, :, :-1]], dim=2)
    pairs = zip(grad_pre.chunk(len(u)), before.chunk(len(u)), strict=True)
    parts = [product(grad.reshape(-1, 2 * hidden).t(), state.reshape(-1, hidden)) for grad, state in pairs]
    return sign * torch.stack(parts)
