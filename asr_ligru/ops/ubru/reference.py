"""uBRU and its smoother, one line per equation.

Each unit is a hidden Markov chain of its own with two states, off and on. Everything is in log-odds,
log p - log(1 - p), and in logarithms of p and 1 - p apart: nothing is divided, so that nothing needs an epsilon.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

INPUT_GATES = 1


def recurrence(
    wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, p1_logit: Tensor, p2_logit: Tensor
) -> Tensor:
    """Run the unit-wise Bayesian filter over sequences: a_t = P(on at t | input up to t).

    In probabilities, with r = exp(min(wx, 10)) = P(input | off) / P(input | on):
    p_t = p1 a_{t-1} + p2 (1 - a_{t-1}) and a_t = p_t / (p_t + r_t (1 - p_t)).

    Args:
        wx: (D, B, T, H) normalised projection of the input, log r; what is above 10 counts as 10.
        u: (D or 1, 0, H), empty: units see themselves alone.
        h0: (D, B, H) log-odds before the first frame, those of p0.
        mask: (D, B, H) scaled dropout mask of log r, or None. A dropped unit goes on without input.
        p1_logit: (D or 1, H) log-odds of p1 = P(on | on before).
        p2_logit: (D or 1, H) log-odds of p2 = P(on | off before).

    Returns:
        (D, B, T, H) log-odds of a_t.

    Source: Bittar and Garner 2022 (Interspeech, arXiv 2207.10486) and their public code, which divides by p_t and
    adds 1e-11 instead.
    """
    m = 1.0 if mask is None else mask
    chain = _transitions(p1_logit, p2_logit)
    log_odds, states = h0, []
    for wx_t in wx.unbind(2):
        log_p, log_q = _predict(log_odds, *chain)
        log_odds = log_p - log_q - torch.clamp(wx_t, max=10) * m
        states.append(log_odds)
    return torch.stack(states, dim=2)


def smoother(backwards: Tensor, *, p1_logit: Tensor, p2_logit: Tensor) -> Tensor:
    """Run the backward recursion over a filtered sequence: h_t = P(on at t | the whole input).

    In probabilities h_T = a_T and h_t = a_t (p1 h_{t+1} / p_{t+1} + (1 - p1) (1 - h_{t+1}) / (1 - p_{t+1})).

    Args:
        backwards: (D, B, T, H) log-odds of a_t from ``recurrence``, the last frame first.
        p1_logit: as in ``recurrence``.
        p2_logit: as in ``recurrence``.

    Returns:
        (D, B, T, H) log-odds of h_t, the last frame first.

    Source: Bittar and Garner 2022 (Interspeech, arXiv 2207.10486).
    """
    stay, leave, come, rest = chain = _transitions(p1_logit, p2_logit)
    log_odds, states = backwards[:, :, 0], [backwards[:, :, 0]]
    for filtered in backwards[:, :, 1:].unbind(2):
        log_p, log_q = _predict(filtered, *chain)
        on, off = logsigmoid(log_odds) - log_p, logsigmoid(-log_odds) - log_q
        log_odds = filtered + torch.logaddexp(stay + on, leave + off) - torch.logaddexp(come + on, rest + off)
        states.append(log_odds)
    return torch.stack(states, dim=2)


def _predict(log_odds: Tensor, stay: Tensor, leave: Tensor, come: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Return log p_{t+1} and log(1 - p_{t+1}) from the log-odds of a_t."""
    on, off = logsigmoid(log_odds), logsigmoid(-log_odds)
    return torch.logaddexp(stay + on, come + off), torch.logaddexp(leave + on, rest + off)


def _transitions(p1_logit: Tensor, p2_logit: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the logarithms of p1, 1 - p1, p2 and 1 - p2, (D or 1, 1, H) each."""
    p1, p2 = p1_logit.unsqueeze(1), p2_logit.unsqueeze(1)
    return logsigmoid(p1), logsigmoid(-p1), logsigmoid(p2), logsigmoid(-p2)
