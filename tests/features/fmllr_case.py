"""Speakers whose features are an affine image of what a small model expects."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.features.fmllr_stats import FmllrStats

DIM, NUM_GAUSS = 4, 3


def model() -> tuple[Tensor, Tensor]:
    """Return means and inverse variances."""
    generator = torch.Generator().manual_seed(7)
    shape = (NUM_GAUSS, DIM)
    return 3 * torch.randn(shape, generator=generator).double(), 0.5 + torch.rand(shape, generator=generator).double()


def frames(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return features and posteriors of one speaker."""
    generator = torch.Generator().manual_seed(seed)
    means, inv_vars = model()
    which = torch.randint(NUM_GAUSS, (count,), generator=generator)
    noise = torch.randn(count, DIM, generator=generator).double()
    mix = torch.eye(DIM).double() + 0.2 * torch.randn(DIM, DIM, generator=generator).double()
    post = 0.9 * torch.nn.functional.one_hot(which, NUM_GAUSS).double() + 0.1 / NUM_GAUSS
    return (means[which] + noise * inv_vars[which].rsqrt()) @ mix + 1, post


def stats_of(feats: Tensor, post: Tensor) -> FmllrStats:
    """Return the statistics of a speaker."""
    return FmllrStats.zeros(DIM).accumulate(feats, post, *model())


def batch(*counts: int) -> FmllrStats:
    """Return the statistics of speakers with so many frames."""
    return FmllrStats.stack([stats_of(*frames(count, seed)) for seed, count in enumerate(counts)])
