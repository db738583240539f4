"""Different token sequences of an utterance, each by its best path: what greedy decoding has besides its first."""

from __future__ import annotations

import math

from torch import Tensor

_NEVER = -math.inf
_TOKENS = 8  # that a frame may continue with, besides the blank
_BELOW = 12.0  # nats below a frame's best token, where none is tried

Prefix = tuple[int, ...]


def best_prefixes(log_probs: Tensor, beam: int, blank_id: int = 0) -> list[tuple[Prefix, float]]:
    """Search the token sequences that CTC can collapse to, by the probability of their best path.

    The first is exact: the best path's beginnings are the best of all at every frame, so no beam loses it. The others
    are as good as the beam is wide.

    Args:
        log_probs: (T', V) natural log of one utterance, T' >= 1.
        beam: sequences kept at each frame, >= 1.
        blank_id: the blank's id.

    Returns:
        (tokens, log probability of the best path), different ones, best first, at most ``beam``.

    Source: Graves and Jaitly 2014, algorithm 1 (prefix search), with the maximum over paths in place of their sum.
    """
    values, tokens = log_probs.topk(min(_TOKENS + 1, log_probs.shape[1]), dim=-1)
    blanks = log_probs[:, blank_id].tolist()
    ends: dict[Prefix, tuple[float, float]] = {(): (0.0, _NEVER)}  # best path that ends in the blank, and in a token
    for blank, row, ids in zip(blanks, values.tolist(), tokens.tolist(), strict=True):
        choices = [(k, p) for k, p in zip(ids, row, strict=True) if k != blank_id and p > row[0] - _BELOW]
        after: dict[Prefix, list[float]] = {}
        for prefix, (in_blank, in_token) in ends.items():
            best = max(in_blank, in_token)
            _raise(after, prefix, 0, best + blank)
            for token, p in choices:
                if prefix and token == prefix[-1]:
                    _raise(after, prefix, 1, in_token + p)
                    _raise(after, (*prefix, token), 1, in_blank + p)
                else:
                    _raise(after, (*prefix, token), 1, best + p)
        kept = sorted(after, key=lambda prefix: -max(after[prefix]))[:beam]
        ends = {prefix: (after[prefix][0], after[prefix][1]) for prefix in kept}
    return [(prefix, max(both)) for prefix, both in ends.items()]


def _raise(after: dict[Prefix, list[float]], prefix: Prefix, end: int, score: float) -> None:
    both = after.setdefault(prefix, [_NEVER, _NEVER])
    both[end] = max(both[end], score)
