"""GRU1, one line per equation."""

from __future__ import annotations

import torch
from torch import Tensor

INPUT_GATES = 1


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, bias: Tensor) -> Tensor:
    """Run a GRU over sequences whose gates see the state and a bias, but not the input.

    Args:
        wx: (D, B, T, H) normalised projection of the input, for the candidate alone.
        u: (D or 1, 3H, H) recurrent weights: reset gate, keep gate, candidate.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        bias: (D or 1, 2H) of the reset gate and the keep gate.

    Returns:
        (D, B, T, H) states.

    Source: Dey and Salem 2017 (arXiv 1701.05923), with their candidate (reset before U). Their z weighs the candidate;
    here it keeps the old state, which changes the signs of its parameters only.
    """
    m = 1.0 if mask is None else mask
    u_r, u_z, u_c = u.mT.chunk(3, dim=-1)
    b_r, b_z = bias.unsqueeze(1).chunk(2, dim=-1)
    h, states = h0, []
    for w_c in wx.unbind(2):
        r = torch.sigmoid(h @ u_r + b_r)
        z = torch.sigmoid(h @ u_z + b_z)
        c = torch.tanh(w_c + (r * h) @ u_c) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
