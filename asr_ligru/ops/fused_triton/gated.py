"""Gated recurrences on the GPU as functions of autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asr_ligru.ops.fused_triton.launch import Launch, Sequences


def gated_recurrence(cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, *, eps: float = 1e-5) -> Tensor:
    """Run a cell over sequences of one length.

    Args:
        cell: "ligru", "sligru", "libru_arith", "libru_harm" or "libru_geo".
        wx: (D, B, T, 2H) normalised projection of the input, the reverse direction already reversed.
        u: (D or 1, 2H, H) recurrent weights; 1 when the directions share them. Products are taken in their type, of
            operands in float32, bfloat16 or float16, and are added up in float32.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        eps: added to the variance of SLi-GRU's layer norm; other cells have none.

    Returns:
        (D, B, T, H) states, float32. Gradients flow to ``wx``, ``u`` and ``h0``.
    """
    batch, steps = wx.shape[1:3]
    start = torch.arange(batch, device=wx.device) * steps
    sequences = Sequences(start, torch.full_like(start, steps), steps, reverse=False)
    by_frame = wx.flatten(1, 2).transpose(0, 1)  # (B*T, D, 2H)
    h = _run(cell, by_frame, u, h0, mask, sequences, eps)
    return h.transpose(0, 1).view(len(wx), batch, steps, h.shape[2])


def packed_recurrence(
    cell: str,
    wx: Tensor,
    lens: Tensor,
    num_frames: int,
    u: Tensor,
    h0: Tensor,
    mask: Tensor | None,
    *,
    eps: float = 1e-5,
) -> Tensor:
    """Run a cell over packed utterances of any lengths, without reversing or padding anything.

    The second direction walks each utterance from its end.

    Args:
        cell: as in ``gated_recurrence``.
        wx: (N, 2H) projection of the valid frames, utterance after utterance, for all directions alike; or
            (N, D * 2H), for each its own.
        lens: (B,) int64 frames of each utterance, of sum N.
        num_frames: T, no less than the longest.
        u: (D or 1, 2H, H) recurrent weights.
        h0: (D, B, H) state before the first frame of each direction.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        eps: added to the variance of SLi-GRU's layer norm; other cells have none.

    Returns:
        (N, D * H) float32 states in the order of ``wx``. Gradients flow to ``wx``, ``u`` and ``h0``.
    """
    sequences = Sequences(lens.cumsum(0) - lens, lens, num_frames, reverse=True)
    by_direction = wx.reshape(len(wx), -1, u.shape[1])
    return _run(cell, by_direction, u, h0, mask, sequences, eps).flatten(1)


def _run(cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, sequences: Sequences, eps: float) -> Tensor:
    """Return states (N, D, H) of a projection (N, D or 1, 2H)."""
    saves = torch.is_grad_enabled() and any(x.requires_grad for x in (wx, u, h0))
    h: Tensor = _Gated.apply(cell, wx, u, h0, mask, sequences, eps, saves)  # type: ignore[no-untyped-call]
    return h


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        wx: Tensor,
        u: Tensor,
        h0: Tensor,
        mask: Tensor | None,
        sequences: Sequences,
        eps: float,
        saves: bool,
    ) -> Tensor:
        directions, _, hidden = h0.shape
        wx, mask = wx.contiguous(), None if mask is None else mask.contiguous()
        u = _operand(cell, u)
        frames = len(wx), directions
        out = wx.new_empty(*frames, hidden, dtype=torch.float32)
        saved = u.new_empty(*frames, 3 * hidden) if saves else None
        scale = wx.new_empty(frames, dtype=torch.float32) if saves and cell == "sligru" else None
        launch = Launch(cell, u, directions, sequences, parts=1)
        launch.put(h0)
        launch.exchange[0, 0] = launch.state
        launch.forward(wx=wx, wx_directions=wx.shape[1], out=out, saved=saved, mask=mask, scale=scale, eps=eps)
        if saves:
            ctx.cell, ctx.sequences, ctx.own_wx = cell, sequences, wx.shape[1]
            ctx.save_for_backward(u, mask, saved, scale, wx if cell == "sligru" else None)
            ctx.dtype = wx.dtype
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        u, mask, saved, scale, wx = ctx.saved_tensors
        frames, directions, hidden = grad.shape
        normed = saved[..., : 2 * hidden] * scale.unsqueeze(-1) if scale is not None else None
        d_wx = saved.new_empty(frames, directions, 2 * hidden, dtype=ctx.dtype)
        launch = Launch(ctx.cell, u, directions, ctx.sequences, parts=2)
        launch.backward(
            wx=wx,
            wx_directions=ctx.own_wx,
            grad=grad.contiguous(),
            d_wx=d_wx,
            saved=saved,
            mask=mask,
            scale=scale,
            along=None if normed is None else _per_direction(normed.to(u.dtype), u),
        )
        d_v = d_wx if normed is None else _through_norm(d_wx.float(), normed, scale.unsqueeze(-1))
        d_u = _feedback(ctx.cell) * _weight_gradient(d_v.to(u.dtype), saved[..., 2 * hidden :], len(u))
        d_shared = d_wx.sum(1, keepdim=True) if ctx.own_wx < directions else d_wx
        return None, d_shared, d_u, launch.get(), None, None, None, None


def _feedback(cell: str) -> float:
    """Return the sign with which the recurrent product reads the state."""
    return -1.0 if cell == "libru_arith" else 1.0


def _operand(cell: str, u: Tensor) -> Tensor:
    """Return the weights as the kernels want them: of an SLi-GRU such that the product's mean is 0, as in its norm."""
    if cell == "sligru":
        return (u.float() - u.float().mean(1, keepdim=True)).to(u.dtype)
    return _feedback(cell) * u


def _through_norm(d: Tensor, x: Tensor, rstd: Tensor) -> Tensor:
    """Return the gradient of a layer norm's input from that of its output, ``x``."""
    return rstd * (d - d.mean(-1, keepdim=True) - x * (d * x).mean(-1, keepdim=True))


def _per_direction(x: Tensor, u: Tensor) -> Tensor:
    """Return x @ u, (N, D, H), where each direction has its own matrix or all have the same."""
    return (x.transpose(0, 1) @ u).transpose(0, 1).contiguous()


def _weight_gradient(d_v: Tensor, before: Tensor, own: int) -> Tensor:
    """Return dU (own, 2H, H): one product over all frames, and directions where they share the matrix."""
    if own == 1:
        return (d_v.flatten(0, 1).t() @ before.flatten(0, 1)).unsqueeze(0)
    return d_v.permute(1, 2, 0) @ before.transpose(0, 1)
