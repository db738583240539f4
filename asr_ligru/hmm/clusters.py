"""How well one Gaussian explains a set of frames, and which sets are alike: what trees are grown by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_MIN_VARIANCE = 0.01


def log_like(sums: Tensor) -> Tensor:
    """Return the log-likelihood of sets of frames, each under a Gaussian of its own.

    Args:
        sums: (..., 1 + 2 D) sums of the extended frames [1, x, x^2] of each set.

    Returns:
        (...), nats over all frames of a set; 0 of an empty one.

    Source: Kaldi, src/tree/clusterable-classes.cc (GaussClusterable).
    """
    count, dim = sums[..., :1], sums.shape[-1] // 2
    mean, square = torch.split(sums[..., 1:] / count.clamp(min=1e-10), dim, -1)
    log_vars: Tensor = (square - mean.square()).clamp(min=_MIN_VARIANCE).log().sum(-1)
    return -0.5 * count[..., 0] * (log_vars + dim * (math.log(2 * math.pi) + 1))


def agglomerate(sums: Tensor, max_loss: float = math.inf) -> list[frozenset[int]]:
    """Join the two sets that lose least by it, again and again.

    Args:
        sums: (N, 1 + 2 D) of N sets.
        max_loss: no two sets are joined that lose as much, nats.

    Returns:
        Every joined set in the order they were made, each as the numbers of the first sets that went into it.
    """
    sums = sums.clone()
    members: list[frozenset[int]] = [frozenset([i]) for i in range(len(sums))]
    made: list[frozenset[int]] = []
    losses = torch.stack([_losses(sums, i) for i in range(len(sums))]) if len(sums) else sums.new_zeros(0, 0)
    for _ in range(len(sums) - 1):
        best = int(losses.argmin())
        a, b = divmod(best, len(sums))
        if float(losses[a, b]) >= max_loss:
            break
        members[a] |= members[b]
        made.append(members[a])
        sums[a] += sums[b]
        losses[b], losses[:, b] = math.inf, math.inf
        fresh = torch.where(losses[a].isinf(), math.inf, _losses(sums, a))
        losses[a], losses[:, a] = fresh, fresh
    return made


def _losses(sums: Tensor, i: int) -> Tensor:
    """Return what joining set ``i`` with each other would lose, infinite for itself."""
    alone = log_like(sums)
    losses = alone + alone[i] - log_like(sums + sums[i])
    losses[i] = math.inf
    return losses


def partition(size: int, joined: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Return the sets that are left after ``agglomerate`` of ``size`` sets made ``joined``."""
    left = {frozenset([i]) for i in range(size)}
    for group in joined:
        left = {other for other in left if not other <= group} | {group}
    return sorted(left, key=min)
