"""LiBRU with the arithmetic mean, one line per equation: the oracle its fused paths are compared with.

The state is s = -log p, with p the probability of the feature each unit stands for. Nothing is ever taken the
logarithm of that could be zero, so no epsilon is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a LiBRU over sequences, in s = -log p.

    Args:
        wx: (D, B, T, 2H) normalised projection of the input, candidate first, then the keep gate.
        u: (D or 1, 2H, H) recurrent weights in the same order; 1 when the directions share them.
        h0: (D, B, H) state s before the first frame, >= 0; log 2 is p = 0.5.
        mask: (D, B, H) scaled dropout mask of the candidate -log p, or None. A dropped candidate is p = 1.

    Returns:
        (D, B, T, H) states s >= 0.

    Source: Bittar and Garner 2021 (ICASSP), eq. 19a to 19c, which are written in p (``probabilities`` below).
    """
    m = 1.0 if mask is None else mask
    s, states = h0, []
    for wx_t in wx.unbind(2):
        a, g = (wx_t + (-s) @ u.mT).chunk(2, dim=-1)
        s_c = -logsigmoid(a) * m
        s = -torch.logaddexp(logsigmoid(g) - s, logsigmoid(-g) - s_c)
        states.append(s)
    return torch.stack(states, dim=2)


def probabilities(wx: Tensor, u: Tensor, p0: Tensor) -> Tensor:
    """Run the same unit as its paper writes it, in p. For comparison only: p can underflow.

    Args:
        wx: (D, B, T, 2H) as in ``recurrence``.
        u: (D or 1, 2H, H) as in ``recurrence``.
        p0: (D, B, H) probabilities before the first frame, in (0, 1].

    Returns:
        (D, B, T, H) probabilities.

    Source: Bittar and Garner 2021 (ICASSP), eq. 19a to 19c.
    """
    p, states = p0, []
    for wx_t in wx.unbind(2):
        a, g = (wx_t + torch.log(p) @ u.mT).chunk(2, dim=-1)
        z = torch.sigmoid(g)
        p = z * p + (1 - z) * torch.sigmoid(a)
        states.append(p)
    return torch.stack(states, dim=2)
