"""LSTM, one line per equation: the oracle its faster paths are compared with."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run an LSTM over sequences. Its state is the pair (output h, cell c), joined on the last axis.

    Args:
        wx: (D, B, T, 4H) normalised projection of the input: gates i, f, candidate, gate o, as torch.nn.LSTM.
        u: (D or 1, 4H, H) recurrent weights in the same order; 1 when the directions share them.
        h0: (D, B, 2H) h and c before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.

    Returns:
        (D, B, T, 2H) h and c of each frame.

    Source: Hochreiter and Schmidhuber 1997 with forget gates (Gers 2000), the form of torch.nn.LSTM without its
    recurrent bias.
    """
    m = 1.0 if mask is None else mask
    h, c = h0.chunk(2, dim=-1)
    states = []
    for wx_t in wx.unbind(2):
        g_i, g_f, a, g_o = (wx_t + h @ u.mT).chunk(4, dim=-1)
        i, f, o = torch.sigmoid(g_i), torch.sigmoid(g_f), torch.sigmoid(g_o)
        c = f * c + i * torch.tanh(a) * m
        h = o * torch.tanh(c)
        states.append(torch.cat((h, c), dim=-1))
    return torch.stack(states, dim=2)
