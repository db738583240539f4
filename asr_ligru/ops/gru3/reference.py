"""GRU3, one line per equation."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, bias: Tensor) -> Tensor:
    """Run a GRU over sequences whose gates are the same at every frame.

    Args:
        wx: (D, B, T, H) normalised projection of the input, for the candidate alone.
        u: (D or 1, H, H) recurrent weights of the candidate.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        bias: (D or 1, 2H) of the reset gate and the keep gate: all that they are.

    Returns:
        (D, B, T, H) states.

    Source: Dey and Salem 2017 (arXiv 1701.05923) with z keeping the old state.
    """
    m = 1.0 if mask is None else mask
    r, z = torch.sigmoid(bias).unsqueeze(1).chunk(2, dim=-1)
    h, states = h0, []
    for w_c in wx.unbind(2):
        c = torch.tanh(w_c + (r * h) @ u.mT) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
