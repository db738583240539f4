"""sBRU, one line per equation: the oracle its faster path is compared with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a simple Bayesian unit over sequences, in s = -log p.

    Args:
        wx: (D, B, T, H) normalised projection of the input.
        u: (D or 1, H, H) recurrent weights; 1 when the directions share them.
        h0: (D, B, H) state s before the first frame, >= 0; log 2 is p = 0.5.
        mask: (D, B, H) scaled dropout mask of -log p, or None. A dropped unit is p = 1.

    Returns:
        (D, B, T, H) states s >= 0, without any logarithm of what could be zero.

    Source: Bittar and Garner 2021 (ICASSP), eq. 13: p = sigmoid(Wx + U log p). Eq. 14, the form in log p of their
    public code, s = softplus(Wx + U s), is the same with W negated.
    """
    m = 1.0 if mask is None else mask
    s, states = h0, []
    for wx_t in wx.unbind(2):
        s = -logsigmoid(wx_t - s @ u.mT) * m
        states.append(s)
    return torch.stack(states, dim=2)
