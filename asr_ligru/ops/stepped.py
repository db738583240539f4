"""A recurrence in plain torch with a hand-written backward: the machinery its cells share.

Autograd over a Python loop records some ten nodes a frame and keeps every intermediate result. Here one node holds
the whole sequence: the forward loop writes into buffers made once, and the backward loop does the least that depends
on the frame after, a product with U. Derivatives come before it for many frames at once, dU after it as one product.

A cell is a ``SteppedCell``: how it takes a step, and how a gradient goes back through one. R below stands for its
rows, directions times batch when they share their weights, else (D, B).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asr_ligru.ops.fused_cpu.linear import product

# Backward derives this many frames at a time, so that they are still in the processor's cache when used.
_BLOCK = 32

Advance = Callable[[Tensor, Tensor, Tensor, "Tensor | None", Tensor], None]
Derivatives = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], tuple[Tensor, ...]]
Pull = Callable[[Tensor, tuple[Tensor, ...], Tensor, Tensor], None]


def pull_gated(d_state: Tensor, factors: tuple[Tensor, ...], d_wx: Tensor, d_v: Tensor) -> None:
    """Go back through one frame of a cell whose gates add U h to their input: d_wx = d_v = dh * k."""
    k, keep = factors
    torch.mul(k, d_state.unsqueeze(-2), out=d_wx.view(k.shape))
    d_state.mul_(keep)


def pull_ungated(d_state: Tensor, factors: tuple[Tensor, ...], d_wx: Tensor, d_v: Tensor) -> None:
    """Go back through one frame of a cell without gates, whose state before acts through U alone."""
    torch.mul(factors[0], d_state, out=d_wx)
    d_state.zero_()


@dataclass(frozen=True)
class SteppedCell:
    """What a cell adds to the machinery.

    Attributes:
        gates: G, blocks of H in wx.
        kept: blocks of H that a frame keeps for the way back, >= G.
        advance: ``(wx, kept, state, mask, out)``, one frame. The first G * H of ``kept`` hold U h; it writes the next
            state to ``out`` and leaves in ``kept`` what ``derivatives`` needs.
        derivatives: ``(kept, before, after, mask)`` for many frames at once, the states before and after each.
            Returns what ``pull`` wants to know, each (frames, R, ...).
        pull: ``(d_state, factors, d_wx, d_v)``, one frame. Writes the gradients of wx and of U h, and leaves in
            ``d_state`` what reaches the state before other than through U.
        own_v: whether U h has another gradient than wx; if not, ``d_v`` is ``d_wx``.
    """

    gates: int
    kept: int
    advance: Advance
    derivatives: Derivatives
    pull: Pull = pull_gated
    own_v: bool = False


def run(cell: SteppedCell, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None) -> Tensor:
    """Run ``cell`` over sequences; shapes as in each cell's ``reference.recurrence``."""
    if torch.is_grad_enabled() and (wx.requires_grad or u.requires_grad or h0.requires_grad):
        states: Tensor = _Stepped.apply(wx, u, h0, mask, cell)  # type: ignore[no-untyped-call]
        return states
    return _forward(cell, wx, u, h0, mask, keep=False)[0]


@dataclass(frozen=True)
class _Layout:
    """Shared directions become rows of one matrix; separate ones stay a batch of matrices."""

    shared: bool
    directions: int
    batch_size: int

    def join(self, x: Tensor) -> Tensor:
        """(D, B, ...) to (R, ...)."""
        return x.flatten(0, 1) if self.shared else x

    def split(self, x: Tensor, dim: int) -> Tensor:
        """Undo ``join`` where the rows begin at axis ``dim``."""
        return torch.unflatten(x, dim, (self.directions, self.batch_size)) if self.shared else x

    def matrix(self, u: Tensor) -> Tensor:
        """(1, GH, H) to (GH, H) when shared."""
        return u.squeeze(0) if self.shared else u


def _forward(
    cell: SteppedCell, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, *, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return states (D, B, T, S), the same time-major with h0 in front, and what the frames kept."""
    layout = _Layout(u.shape[0] == 1, *wx.shape[:2])
    frames = layout.join(wx).unbind(-2)
    first = layout.join(h0)
    m = None if mask is None else layout.join(mask)
    hidden_size, width = u.shape[-1], cell.gates * u.shape[-1]
    states = wx.new_empty(len(frames) + 1, *first.shape)
    states[0] = first
    kept = wx.new_empty(len(frames) if keep else 1, *first.shape[:-1], cell.kept * hidden_size)
    multiply, u_t = torch.mm if layout.shared else torch.bmm, layout.matrix(u).mT
    befores, hs = states.unbind(0), states[..., :hidden_size].unbind(0)
    scratch, vs = kept.unbind(0), kept[..., :width].unbind(0)
    for t, wx_t in enumerate(frames):
        place = t if keep else 0
        multiply(hs[t], u_t, out=vs[place])
        cell.advance(wx_t, scratch[place], befores[t], m, befores[t + 1])
    return layout.split(states[1:], 1).movedim(0, 2), states, kept


class _Stepped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, cell: SteppedCell) -> Tensor:
        out, states, kept = _forward(cell, wx, u, h0, mask, keep=True)
        ctx.save_for_backward(u, mask, states, kept)
        ctx.cell, ctx.layout = cell, _Layout(u.shape[0] == 1, *wx.shape[:2])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        u, mask, states, kept = ctx.saved_tensors
        layout: _Layout = ctx.layout
        m = None if mask is None else layout.join(mask)
        with torch.autocast(grad.device.type, enabled=False):
            grads = layout.join(grad).movedim(-2, 0)
            d_wx, d_v, d_h0 = _backward(ctx.cell, grads, layout.matrix(u), states, kept, m)
            d_u = _weight_gradient(d_v, states[:-1, ..., : u.shape[-1]], layout)
        return layout.split(d_wx, 1).movedim(0, 2), d_u, layout.split(d_h0, 0), None, None


def _backward(
    cell: SteppedCell, grads: Tensor, u: Tensor, states: Tensor, kept: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of wx and of U h, time-major, and of h0."""
    d_wx = kept.new_empty(*kept.shape[:-1], u.shape[-2])
    d_v = torch.empty_like(d_wx) if cell.own_v else d_wx
    d_state = torch.zeros_like(states[0])
    d_h = d_state[..., : u.shape[-1]]
    add_product = d_h.addmm_ if d_h.dim() == 2 else d_h.baddbmm_
    for end in range(len(kept), 0, -_BLOCK):
        block = slice(max(end - _BLOCK, 0), end)
        factors = cell.derivatives(kept[block], states[:-1][block], states[1:][block], mask)
        frames = zip(grads[block], d_wx[block], d_v[block], *factors, strict=True)
        for grad, d_wx_t, d_v_t, *factors_t in reversed(list(frames)):
            d_state.add_(grad)
            cell.pull(d_state, tuple(factors_t), d_wx_t, d_v_t)
            add_product(d_v_t, u)
    return d_wx, d_v, d_state


def _weight_gradient(d_v: Tensor, before: Tensor, layout: _Layout) -> Tensor:
    """Return dU (D or 1, GH, H), summed over frames and rows."""
    if layout.shared:
        return product(d_v.flatten(0, 1).t(), before.flatten(0, 1).contiguous()).unsqueeze(0)
    d, h = (x.transpose(0, 1).flatten(1, 2) for x in (d_v, before))
    return d.mT @ h
