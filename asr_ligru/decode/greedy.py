"""Greedy CTC decoding: the best token of each frame, repeats merged, blanks removed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BestPath:
    """The best path of one utterance.

    Attributes:
        tokens: what it emits.
        score: natural-log probability of the path, summed over frames.
        confidences: of each token, its highest probability over the frames that emit it.
    """

    tokens: list[int]
    score: float
    confidences: list[float]


def best_paths(log_probs: Tensor, log_prob_lens: Tensor, blank_id: int = 0) -> list[BestPath]:
    """Decode a batch.

    Args:
        log_probs: (B, T', V) natural log.
        log_prob_lens: (B,) frames.
        blank_id: the blank's id.

    Returns:
        B paths.
    """
    scores, best = log_probs.max(dim=-1)
    paths = []
    for row_scores, row, length in zip(scores.cpu(), best.cpu(), log_prob_lens.tolist(), strict=True):
        merged, part = torch.unique_consecutive(row[:length], return_inverse=True)
        peaks = torch.zeros(len(merged)).scatter_reduce(0, part, row_scores[:length].float().exp(), "amax")
        emitted = merged != blank_id
        paths.append(BestPath(merged[emitted].tolist(), float(row_scores[:length].sum()), peaks[emitted].tolist()))
    return paths
