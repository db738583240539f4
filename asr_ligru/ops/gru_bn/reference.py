"""GRU with its reset gate behind U, one line per equation: the oracle its faster paths are compared with."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a GRU over sequences.

    Args:
        wx: (D, B, T, 3H) normalised projection of the input: reset gate, keep gate, candidate, as torch.nn.GRU.
        u: (D or 1, 3H, H) recurrent weights in the same order; 1 when the directions share them.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.

    Returns:
        (D, B, T, H) states.

    Source: Cho et al. 2014 in the form of torch.nn.GRU (the reset gate multiplies U h), without its recurrent bias.
    """
    m = 1.0 if mask is None else mask
    h, states = h0, []
    for wx_t in wx.unbind(2):
        w_r, w_z, w_c = wx_t.chunk(3, dim=-1)
        v_r, v_z, v_c = (h @ u.mT).chunk(3, dim=-1)
        r = torch.sigmoid(w_r + v_r)
        z = torch.sigmoid(w_z + v_z)
        c = torch.tanh(w_c + r * v_c) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
