"""LiGRU, one line per equation: the oracle its fused paths are compared with."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a LiGRU over sequences.

    Args:
        wx: (D, B, T, 2H) normalised projection of the input, candidate first, then the keep gate.
        u: (D or 1, 2H, H) recurrent weights in the same order; 1 when the directions share them.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.

    Returns:
        (D, B, T, H) states.

    Source: Ravanelli et al. 2018 (arXiv 1803.10225), eq. 7 to 9. There z weighs the candidate's complement in the
    same way: it keeps the old state.
    """
    m = 1.0 if mask is None else mask
    h, states = h0, []
    for wx_t in wx.unbind(2):
        a, g = (wx_t + h @ u.mT).chunk(2, dim=-1)
        z = torch.sigmoid(g)
        c = torch.relu(a) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
