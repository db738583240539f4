"""GRU2, one line per equation."""

from __future__ import annotations

import torch
from torch import Tensor

INPUT_GATES = 1


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a GRU over sequences whose gates see the state alone. Shapes are those of ``ops.gru1.reference``.

    Source: Dey and Salem 2017 (arXiv 1701.05923) with z keeping the old state.
    """
    m = 1.0 if mask is None else mask
    u_r, u_z, u_c = u.mT.chunk(3, dim=-1)
    h, states = h0, []
    for w_c in wx.unbind(2):
        r = torch.sigmoid(h @ u_r)
        z = torch.sigmoid(h @ u_z)
        c = torch.tanh(w_c + (r * h) @ u_c) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
