"""Greedy CTC decoding: the best token of each frame, repeats merged, blanks removed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BestPath:
    """The best path of one utterance: its tokens and their natural-log score, summed over frames."""

    tokens: list[int]
    score: float


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
        merged = torch.unique_consecutive(row[:length])
        paths.append(BestPath(merged[merged != blank_id].tolist(), float(row_scores[:length].sum())))
    return paths
