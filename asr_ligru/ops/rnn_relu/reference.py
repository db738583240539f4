"""RNN with ReLU, one line per equation: the oracle its faster paths are compared with."""

from __future__ import annotations

import torch
from torch import Tensor


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a simple recurrent network with ReLU over sequences. Its state can grow without bound.

    Shapes are those of ``ops.rnn_tanh.reference``.

    Source: Le, Jaitly and Hinton 2015 (arXiv 1504.00941), in the form of torch.nn.RNN(nonlinearity="relu") without
    its recurrent bias; their identity for the first U is an orthogonal matrix here.
    """
    m = 1.0 if mask is None else mask
    h, states = h0, []
    for wx_t in wx.unbind(2):
        h = torch.relu(wx_t + h @ u.mT) * m
        states.append(h)
    return torch.stack(states, dim=2)
