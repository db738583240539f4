"""fMLLR of one speaker in the plainest form: frame by frame, Gaussian by Gaussian, row by row. For tests and readers.

Source: Gales, "Maximum likelihood linear transformations for HMM-based speech recognition", 1998, section 2.3 and
appendix B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.features.fmllr import identity
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.moments import pack, unpack


def accumulate(feats: Tensor, post: Tensor, means: Tensor, inv_vars: Tensor) -> FmllrStats:
    """Return the statistics of ``FmllrStats.accumulate``.

    Args:
        feats: (T, D).
        post: (T, M) posteriors.
        means: (M, D).
        inv_vars: (M, D).
    """
    D = feats.shape[1]
    beta, K, G = (torch.zeros(shape, dtype=torch.float64) for shape in ((), (D, D + 1), (D, D + 1, D + 1)))
    for frame, gammas in zip(feats.double(), post.double(), strict=True):
        x = torch.cat([frame, torch.ones(1, dtype=torch.float64)])  # [x; 1]
        for gamma, mean, inv_var in zip(gammas, means.double(), inv_vars.double(), strict=True):
            beta += gamma
            K += gamma * torch.outer(mean * inv_var, x)
            G += gamma * inv_var[:, None, None] * torch.outer(x, x)
    return FmllrStats.of(beta, K, pack(G))


def estimate_full(stats: FmllrStats, iterations: int = 40) -> Tensor:
    """Return the transform (D, D + 1) of one speaker that ``fmllr.estimate`` finds from [I 0]."""
    W, G, beta = identity(stats.dim), unpack(stats.G), stats.beta
    for _ in range(iterations):
        for d in range(stats.dim):
            inverse_G = torch.linalg.inv(G[d])
            c = torch.cat([torch.linalg.inv(W[:, :-1])[:, d], torch.zeros(1, dtype=torch.float64)])  # [cofactors 0]
            e1, e2 = c @ inverse_G @ c, c @ inverse_G @ stats.K[d]
            root = (e2.square() + 4 * e1 * beta).sqrt()
            alphas = torch.stack([-e2 + root, -e2 - root]) / (2 * e1)
            objective = beta * (alphas * e1 + e2).abs().log() - alphas.square() * e1 / 2
            W[d] = (alphas[objective.argmax()] * c + stats.K[d]) @ inverse_G
    return W
