"""SLi-GRU, one line per equation: the oracle its fused paths are compared with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    """Run an SLi-GRU over sequences: a LiGRU with layer norm on the recurrent projection.

    Args:
        wx: (D, B, T, 2H) normalised projection of the input, candidate first, then the keep gate.
        u: (D or 1, 2H, H) recurrent weights in the same order; 1 when the directions share them.
        h0: (D, B, H) state before the first frame.
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        eps: added to the variance of the layer norm, > 0. At a state of zero the norm multiplies gradients by
            eps**-0.5 (316 at the default).

    Returns:
        (D, B, T, H) states.

    Source: Moumen and Parcollet 2023 (arXiv 2302.10144), eq. 8 and 9; the norm is over the joint 2H vector and has
    no weights of its own.
    """
    m = 1.0 if mask is None else mask
    h, states = h0, []
    for wx_t in wx.unbind(2):
        v = F.layer_norm(h @ u.mT, u.shape[1:2], eps=eps)
        a, g = (wx_t + v).chunk(2, dim=-1)
        z = torch.sigmoid(g)
        c = torch.relu(a) * m
        h = z * h + (1 - z) * c
        states.append(h)
    return torch.stack(states, dim=2)
