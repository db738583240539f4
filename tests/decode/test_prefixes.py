"""The best token sequences against all paths there are."""

from __future__ import annotations

import itertools

import pytest
import torch

from asr_ligru.decode.greedy import best_paths
from asr_ligru.decode.prefixes import Prefix, best_prefixes


@pytest.mark.parametrize("seed", range(5))
def test_best_prefixes_equal_the_best_of_all_paths(seed: int) -> None:
    log_probs = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    best: dict[Prefix, float] = {}
    for path in itertools.product(range(3), repeat=6):
        tokens = tuple(token for token, _ in itertools.groupby(path) if token)
        score = sum(float(log_probs[t, k]) for t, k in enumerate(path))
        best[tokens] = max(score, best.get(tokens, -torch.inf))
    expected = sorted(best.items(), key=lambda item: -item[1])[:20]
    found = best_prefixes(log_probs, beam=100)[:20]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-5)
    assert dict(found) == pytest.approx({tokens: best[tokens] for tokens, _ in found}, rel=1e-5)


@pytest.mark.parametrize("beam", [1, 2, 16])
def test_best_prefixes_begin_with_the_best_path_whatever_the_beam(beam: int) -> None:
    log_probs = (2 * torch.randn(60, 12, generator=torch.Generator().manual_seed(beam))).log_softmax(-1)
    (path,) = best_paths(log_probs[None], torch.tensor([60]))
    tokens, score = best_prefixes(log_probs, beam)[0]
    assert list(tokens) == path.tokens
    assert score == pytest.approx(path.score, rel=1e-5)
