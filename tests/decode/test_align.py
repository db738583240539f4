"""Alignment of known tokens against all paths, one by one."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from asr_ligru.decode.align import align_tokens


def spans_of(path: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Return (token, first frame, frame after the last) of each token of a path."""
    ends = [0, *(t for t in range(1, len(path)) if path[t] != path[t - 1]), len(path)]
    return [(path[start], start, end) for start, end in itertools.pairwise(ends) if path[start] != 0]


def best_by_hand(log_probs: Tensor, tokens: list[int]) -> list[tuple[int, int]] | None:
    paths = itertools.product(range(log_probs.shape[1]), repeat=len(log_probs))
    spelled = [path for path in paths if [span[0] for span in spans_of(path)] == tokens]
    if not spelled:
        return None
    best = max(spelled, key=lambda path: sum(float(log_probs[t, token]) for t, token in enumerate(path)))
    return [(start, end) for _, start, end in spans_of(best)]


@pytest.mark.parametrize("tokens", [[], [1], [2, 2], [1, 2], [1, 2, 1], [1, 1, 1], [1, 2, 3, 1], [1, 1, 2, 2]])
def test_align_tokens_equals_the_best_of_all_paths(tokens: list[int]) -> None:
    draw = torch.Generator().manual_seed(len(tokens))
    for frames in (1, 3, 5):
        log_probs = torch.randn(frames, 4, generator=draw).log_softmax(-1)
        assert align_tokens(log_probs, tokens) == best_by_hand(log_probs, tokens), frames


def test_align_tokens_another_blank_is_respected() -> None:
    log_probs = torch.full((6, 3), -5.0)
    for frame, token in enumerate([2, 2, 0, 2, 1, 1]):
        log_probs[frame, token] = -0.1
    assert align_tokens(log_probs, [0, 1], blank_id=2) == [(2, 3), (4, 6)]


def test_align_tokens_of_a_long_text_finds_each() -> None:
    tokens = [1, 2] * 100
    path = torch.tensor([token for token in tokens for _ in range(2)])
    log_probs = (8.0 * torch.nn.functional.one_hot(path, 3)).log_softmax(-1)
    assert align_tokens(log_probs, tokens) == [(2 * n, 2 * n + 2) for n in range(200)]
