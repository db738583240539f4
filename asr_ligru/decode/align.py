"""When the tokens of a known text are said: the best CTC path that spells it."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def align_tokens(log_probs: Tensor, tokens: list[int], blank_id: int = 0) -> list[tuple[int, int]] | None:
    """Align tokens to frames.

    Args:
        log_probs: (T', V) natural log of one utterance, without padding.
        tokens: U ids, none the blank.
        blank_id: the blank's id.

    Returns:
        For each token its first frame and the frame after its last; None where T' is too short for them.

    Source: Graves et al. 2006, section 4.1, with the maximum in place of the sum.
    """
    states = np.array([blank_id, *(id_ for token in tokens for id_ in (token, blank_id))])
    emitted = log_probs.double().cpu().numpy()[:, states]  # (T', 2U + 1)
    skips = np.zeros(len(states), dtype=bool)  # a token may follow another one at once, the same one not
    skips[3::2] = states[3::2] != states[1:-2:2]
    score = np.full(len(states), -np.inf)
    score[:2] = emitted[0, :2]
    steps = np.zeros(emitted.shape, dtype=np.int8)  # how many states before the frame's the path was
    for frame, now in enumerate(emitted[1:], start=1):
        ways = np.full((3, len(states)), -np.inf)
        ways[0], ways[1, 1:] = score, score[:-1]
        ways[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        steps[frame] = ways.argmax(axis=0)
        score = ways.max(axis=0) + now
    state = len(states) - 1 - int(len(states) > 1 and score[-2] > score[-1])
    if not np.isfinite(score[state]):
        return None
    path = np.empty(len(emitted), dtype=np.int64)
    for frame in range(len(emitted) - 1, -1, -1):
        path[frame] = state
        state -= int(steps[frame, state])
    frames = [np.flatnonzero(path == 2 * n + 1) for n in range(len(tokens))]
    return [(int(span[0]), int(span[-1]) + 1) for span in frames]
