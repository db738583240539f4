"""Joining sets of frames that sound alike, against torch.distributions and plain counting."""

from __future__ import annotations

import torch

from asr_ligru.hmm.clusters import agglomerate, log_like, partition
from asr_ligru.hmm.diag_gmm import extend
from tests.tolerance import assert_close


def sums_of(sets: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack([extend(frames).sum(0) for frames in sets])


def test_log_like_one_set_equals_torch_normal() -> None:
    frames = 3 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    gaussian = torch.distributions.Normal(frames.mean(0), frames.std(0, correction=0))
    assert_close(log_like(sums_of([frames]))[0], gaussian.log_prob(frames).sum())


def test_log_like_no_frames_is_zero() -> None:
    assert log_like(torch.zeros(1, 9, dtype=torch.float64)).tolist() == [0.0]


def test_agglomerate_two_groups_are_found_and_kept_apart() -> None:
    generator = torch.Generator().manual_seed(1)
    sets = [torch.randn(100, 3, generator=generator) + 20 * (i % 2) for i in range(5)]
    joined = agglomerate(sums_of(sets), max_loss=100.0)
    assert partition(5, joined) == [frozenset({0, 2, 4}), frozenset({1, 3})]


def test_agglomerate_without_limit_joins_all() -> None:
    sets = [torch.randn(10, 3, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    joined = agglomerate(sums_of(sets))
    assert len(joined) == 5
    assert joined[-1] == frozenset(range(6))
