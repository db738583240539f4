"""M-GRU, one line per equation: the oracle its faster path is compared with."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run an M-GRU over sequences: a GRU without reset gate, or a LiGRU with tanh for ReLU.

    Shapes and order are those of ``ops.ligru.reference``.

    Source: Ravanelli et al. 2017 (arXiv 1710.00641), where it lies between GRU and LiGRU.
    """
    m = 1.0 if mask is None else mask
    h, states = h0, []
    for wx_t in wx.unbind(2):
        a, g = (wx_t + h @ u.mT).chunk(2, dim=-1)
        z = torch.sigmoid(g)
        c = torch.tanh(a) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
