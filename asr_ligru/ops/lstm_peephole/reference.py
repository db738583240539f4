"""LSTM with peepholes, one line per equation."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, peepholes: Tensor) -> Tensor:
    """Run an LSTM with peepholes over sequences. Its state is the pair (output h, cell c), joined on the last axis.

    Args:
        wx: (D, B, T, 4H) normalised projection of the input: gates i, f, candidate, gate o, as torch.nn.LSTM.
        u: (D or 1, 4H, H) recurrent weights in the same order.
        h0: (D, B, 2H) h and c before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        peepholes: (D or 1, 3H) one weight a unit from its own cell to its gates i, f and o.

    Returns:
        (D, B, T, 2H) h and c of each frame.

    Source: Gers and Schmidhuber 2000, as in Graves 2013 (arXiv 1308.0850), eq. 7 to 11: i and f see the cell before,
    o the new one.
    """
    m = 1.0 if mask is None else mask
    p_i, p_f, p_o = peepholes.unsqueeze(1).chunk(3, dim=-1)
    h, c = h0.chunk(2, dim=-1)
    states = []
    for wx_t in wx.unbind(2):
        g_i, g_f, a, g_o = (wx_t + h @ u.mT).chunk(4, dim=-1)
        i = torch.sigmoid(g_i + p_i * c)
        f = torch.sigmoid(g_f + p_f * c)
        c = f * c + i * torch.tanh(a) * m
        o = torch.sigmoid(g_o + p_o * c)
        h = o * torch.tanh(c)
        states.append(torch.cat((h, c), dim=-1))
    return torch.stack(states, dim=2)
