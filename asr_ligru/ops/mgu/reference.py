"""MGU, one line per equation."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a minimal gated unit over sequences.

    Args:
        wx: (D, B, T, 2H) normalised projection of the input: candidate, then the gate f.
        u: (D or 1, 2H, H) recurrent weights in the same order.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.

    Returns:
        (D, B, T, H) states. The one gate f both shows U the old state and lets the candidate in.

    Source: Zhou et al. 2016 (arXiv 1603.09420), as in Heck and Salem 2017 (arXiv 1701.03452). f is theirs: it weighs
    the candidate, 1 - f keeps the old state.
    """
    m = 1.0 if mask is None else mask
    u_c, u_f = u.mT.chunk(2, dim=-1)
    h, states = h0, []
    for wx_t in wx.unbind(2):
        w_c, w_f = wx_t.chunk(2, dim=-1)
        f = torch.sigmoid(w_f + h @ u_f)
        c = torch.tanh(w_c + (f * h) @ u_c) * m
        h = (1 - f) * h + f * c
        states.append(h)
    return torch.stack(states, dim=2)
