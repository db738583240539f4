"""GRU with its reset gate before U, one line per equation."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a GRU over sequences: the reset gate picks what U reads of the state.

    Shapes and order are those of ``ops.gru_bn.reference``, whose reset gate multiplies U h. The two are different
    functions of the same parameters, and equal for U_c diagonal.

    Source: Cho et al. 2014 (arXiv 1406.1078), eq. 5 to 8.
    """
    m = 1.0 if mask is None else mask
    u_r, u_z, u_c = u.mT.chunk(3, dim=-1)
    h, states = h0, []
    for wx_t in wx.unbind(2):
        w_r, w_z, w_c = wx_t.chunk(3, dim=-1)
        r = torch.sigmoid(w_r + h @ u_r)
        z = torch.sigmoid(w_z + h @ u_z)
        c = torch.tanh(w_c + (r * h) @ u_c) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
