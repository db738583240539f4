"""Greedy decoding by hand-made probabilities and against torchaudio-free brute force."""

from __future__ import annotations

import itertools

import pytest
import torch

from asr_ligru.decode.greedy import best_paths


def one_hot(ids: list[int], vocab: int = 4) -> torch.Tensor:
    return torch.log_softmax(9.0 * torch.nn.functional.one_hot(torch.tensor(ids), vocab).float(), -1)


@pytest.mark.parametrize(
    ("frames", "tokens"),
    [
        ([0, 0, 0], []),
        ([1, 1, 0, 1], [1, 1]),
        ([1, 2, 2, 3], [1, 2, 3]),
        ([0, 3, 3, 0, 0, 3, 2], [3, 3, 2]),
    ],
)
def test_best_paths_merges_repeats_and_drops_blanks(frames: list[int], tokens: list[int]) -> None:
    assert best_paths(one_hot(frames)[None], torch.tensor([len(frames)]))[0].tokens == tokens


def test_best_paths_ignores_what_stands_behind_the_end() -> None:
    batch = torch.stack([one_hot([1, 2, 3]), one_hot([3, 1, 1])])
    paths = best_paths(batch, torch.tensor([3, 1]))
    assert [p.tokens for p in paths] == [[1, 2, 3], [3]]
    assert paths[1].score == pytest.approx(float(one_hot([3])[0, 3]))


def test_best_paths_score_is_the_best_of_all_paths() -> None:
    log_probs = torch.log_softmax(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), -1)
    best = max(
        sum(float(log_probs[t, k]) for t, k in enumerate(path)) for path in itertools.product(range(3), repeat=4)
    )
    assert best_paths(log_probs[None], torch.tensor([4]))[0].score == pytest.approx(best, rel=1e-5)


def test_best_paths_confidence_is_the_highest_probability_of_a_tokens_frames() -> None:
    probabilities = torch.tensor([[0.1, 0.6, 0.3], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0], [0.2, 0.1, 0.7]])
    (path,) = best_paths(probabilities.log()[None], torch.tensor([4]))
    assert path.tokens == [1, 2]
    assert path.confidences == pytest.approx([0.8, 0.7])
