"""RNN with tanh, one line per equation: the oracle its faster paths are compared with."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a simple recurrent network over sequences.

    Args:
        wx: (D, B, T, H) normalised projection of the input.
        u: (D or 1, H, H) recurrent weights; 1 when the directions share them.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the new state, or None.

    Returns:
        (D, B, T, H) states.

    Source: Elman 1990, in the form of torch.nn.RNN without its recurrent bias.
    """
    m = 1.0 if mask is None else mask
    h, states = h0, []
    for wx_t in wx.unbind(2):
        h = torch.tanh(wx_t + h @ u.mT) * m
        states.append(h)
    return torch.stack(states, dim=2)
