"""LiBRU with the harmonic mean, one line per equation: the oracle its fused paths are compared with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run the harmonic LiBRU over sequences: exp(s) is averaged, so p = exp(-s) takes the harmonic mean.

    Args:
        wx: (D, B, T, 2H) normalised projection of the input, candidate first, then the keep gate.
        u: (D or 1, 2H, H) recurrent weights in the same order; 1 when the directions share them.
        h0: (D, B, H) state s before the first frame, >= 0.
        mask: (D, B, H) scaled dropout mask of the candidate softplus(a), or None.

    Returns:
        (D, B, T, H) states s >= 0.

    Source: the "logprobs" variant of the public code of Bittar and Garner, there called equivalent to the
    arithmetic one. It is another function: softplus(a) = -log sigmoid(-a).
    """
    m = 1.0 if mask is None else mask
    s, states = h0, []
    for wx_t in wx.unbind(2):
        a, g = (wx_t + s @ u.mT).chunk(2, dim=-1)
        s_c = -logsigmoid(-a) * m
        s = torch.logaddexp(logsigmoid(g) + s, logsigmoid(-g) + s_c)
        states.append(s)
    return torch.stack(states, dim=2)
