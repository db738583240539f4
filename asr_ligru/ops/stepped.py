"""A gated recurrence in plain torch with a hand-written backward: the machinery its cells share.

Autograd over a Python loop records some ten nodes a frame and keeps every intermediate result. Here one node holds
the whole sequence: the forward loop writes into buffers made once, and the backward loop does the least that depends
on the frame after, a product with U; gate derivatives come before it for many frames at once, dU after it as one
product.

A cell says how it steps and what its derivatives are (``SteppedCell``). All of them have the form::

    d wx_t = dh_t * k_t              one factor for each gate
    d v_t  = through(d wx_t)         v = U h; the same thing unless something lies between
    dh_t-1 = dh_t * keep_t + U' d v_t
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Backward derives this many frames' gates at a time, so that they are still in the processor's cache when used.
_BLOCK = 32

Advance = Callable[[Tensor, Tensor, Tensor, "Tensor | None", Tensor], None]
Derivatives = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], tuple[list[Tensor], Tensor]]
Through = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SteppedCell:
    """What a cell adds to the machinery. R stands for its rows: batch, or directions times batch.

    Attributes:
        gates: G.
        advance: ``(wx, v, h, mask, out)``: one frame, all (..., R, ·). Writes the next state to ``out`` and leaves
            in ``v``, which came as U h, what ``derivatives`` needs.
        derivatives: ``(v, h_before, h_after, mask)``: for many frames at once, from what ``advance`` left in ``v``
            (frames, ..., R, G*H). Returns the G factors k and keep, each (frames, ..., R, H).
        through: ``(d_wx, v, h_before, u)``: one frame's gradient of v from that of wx; None when they are the same.
    """

    gates: int
    advance: Advance
    derivatives: Derivatives
    through: Through | None = None


def run(cell: SteppedCell, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None) -> Tensor:
    """Run ``cell`` over sequences; shapes as in each cell's ``reference.recurrence``."""
    if torch.is_grad_enabled() and (wx.requires_grad or u.requires_grad or h0.requires_grad):
        states: Tensor = _Stepped.apply(wx, u, h0, mask, cell)  # type: ignore[no-untyped-call]
        return states
    return _forward(cell, wx, u, h0, mask, keep_gates=False)[0]


@dataclass(frozen=True)
class _Layout:
    """Shared directions become rows of one matrix; separate ones stay a batch of matrices."""

    shared: bool
    directions: int
    batch_size: int

    def join(self, x: Tensor) -> Tensor:
        """(D, B, ...) to (R, ...) when shared."""
        return x.flatten(0, 1) if self.shared else x

    def split(self, x: Tensor, dim: int) -> Tensor:
        """Undo ``join`` where the rows are axis ``dim``."""
        return torch.unflatten(x, dim, (self.directions, self.batch_size)) if self.shared else x

    def matrix(self, u: Tensor) -> Tensor:
        """(1, GH, H) to (GH, H) when shared."""
        return u.squeeze(0) if self.shared else u


def _forward(
    cell: SteppedCell, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, *, keep_gates: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return states (D, B, T, H), the same time-major with h0 in front, and what the frames left in v."""
    layout = _Layout(u.shape[0] == 1, *wx.shape[:2])
    frames = layout.join(wx).unbind(-2)
    first = layout.join(h0)
    m = None if mask is None else layout.join(mask)
    states = wx.new_empty(len(frames) + 1, *first.shape)
    states[0] = first
    gates = wx.new_empty(len(frames) if keep_gates else 1, *frames[0].shape)
    hs, vs = states.unbind(0), gates.unbind(0)
    product, u_t = torch.mm if layout.shared else torch.bmm, layout.matrix(u).mT
    for t, wx_t in enumerate(frames):
        v = vs[t if keep_gates else 0]
        product(hs[t], u_t, out=v)
        cell.advance(wx_t, v, hs[t], m, hs[t + 1])
    return layout.split(states[1:], 1).movedim(0, 2), states, gates


class _Stepped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, cell: SteppedCell) -> Tensor:
        out, states, gates = _forward(cell, wx, u, h0, mask, keep_gates=True)
        ctx.save_for_backward(u, mask, states, gates)
        ctx.cell, ctx.layout = cell, _Layout(u.shape[0] == 1, *wx.shape[:2])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        u, mask, states, gates = ctx.saved_tensors
        layout: _Layout = ctx.layout
        m = None if mask is None else layout.join(mask)
        with torch.autocast(grad.device.type, enabled=False):
            grads = layout.join(grad).movedim(-2, 0)
            d_wx, d_v, d_h0 = _backward(ctx.cell, grads, layout.matrix(u), states, gates, m)
            d_u = _weight_gradient(d_v, states[:-1], layout)
        return layout.split(d_wx, 1).movedim(0, 2), d_u, layout.split(d_h0, 0), None, None


def _backward(
    cell: SteppedCell, grads: Tensor, u: Tensor, states: Tensor, gates: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of wx and v, time-major, and of h0."""
    d_wx = torch.empty_like(gates)
    d_v = d_wx if cell.through is None else torch.empty_like(gates)
    shape = (cell.gates, states.shape[-1])
    d_h = torch.zeros_like(states[0])
    for end in range(len(gates), 0, -_BLOCK):
        block = slice(max(end - _BLOCK, 0), end)
        before, after = states[:-1][block], states[1:][block]
        factors, keep = cell.derivatives(gates[block], before, after, mask)
        k = torch.stack(factors, dim=-2)
        flat, split = d_wx[block], torch.unflatten(d_wx[block], -1, shape)
        frames = zip(grads[block], k, keep, flat, split, d_v[block], gates[block], before, strict=True)
        for grad, k_t, keep_t, d_flat, d_split, d_v_t, gates_t, h in reversed(list(frames)):
            d_h.add_(grad)
            torch.mul(k_t, d_h.unsqueeze(-2), out=d_split)
            d_h.mul_(keep_t)
            if cell.through is not None:
                d_v_t.copy_(cell.through(d_flat, gates_t, h, u))
            (d_h.addmm_ if d_h.dim() == 2 else d_h.baddbmm_)(d_v_t, u)
    return d_wx, d_v, d_h


def _weight_gradient(d_v: Tensor, before: Tensor, layout: _Layout) -> Tensor:
    """Return dU (D or 1, GH, H) summed over frames and rows."""
    if layout.shared:
        return (d_v.flatten(0, 1).mT @ before.flatten(0, 1)).unsqueeze(0)
    rows = (x.transpose(0, 1).flatten(1, 2) for x in (d_v, before))
    d, h = rows
    return d.mT @ h
