"""Sampling: frequencies against the probabilities of all short sentences of a model over two letters."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from asr_ligru.errors import ConfigError
from asr_ligru.lm.model import NeuralLm
from asr_ligru.lm.sample import sample
from tests.lm.tiny_lm import tiny_lm

DRAWN = 4000


@pytest.fixture(scope="module")
def lm() -> NeuralLm:
    return tiny_lm()


def exact(lm: NeuralLm, ids: tuple[int, ...], temperature: float, ended: bool) -> float:
    """Return the probability of drawing a sentence, or its beginning, without <unk>."""
    total, state, token = 0.0, None, 0
    for following in (*ids, *((0,) if ended else ())):
        log_probs, state = lm.network.step(torch.tensor([token]), state)
        weights = [math.exp(float(log_probs[0, i]) / temperature) for i in (0, 2, 3)]
        total += math.log(math.exp(float(log_probs[0, following]) / temperature) / sum(weights))
        token = following
    return math.exp(total)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_sample_frequencies_are_the_model_s_probabilities(lm: NeuralLm, temperature: float) -> None:
    found = Counter((s.ids, s.complete) for s in sample(lm, DRAWN, seed=3, temperature=temperature, max_tokens=3))
    with torch.no_grad():
        probs = {
            (ids, ended): exact(lm, ids, temperature, ended)
            for size in range(4)
            for ids in itertools.product((2, 3), repeat=size)
            for ended in ((False,) if size == 3 else (True,))
        }
    assert sum(probs.values()) == pytest.approx(1.0, abs=1e-5)
    assert set(found) <= set(probs)
    chi_squared = sum((found[key] - DRAWN * p) ** 2 / (DRAWN * p) for key, p in probs.items())
    assert chi_squared < 36.1  # 14 degrees of freedom: one of a thousand correct samplers is above it


def test_sample_with_the_same_seed_is_the_same(lm: NeuralLm) -> None:
    first, again, other = (sample(lm, 20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_sample_texts_are_those_of_the_tokens_and_cut_ones_are_marked(lm: NeuralLm) -> None:
    for drawn in sample(lm, 50, seed=1, max_tokens=2):
        assert drawn.text == lm.tokenizer.decode(drawn.ids)
        assert drawn.complete == (len(drawn.ids) < 2)


@pytest.mark.parametrize("given", [{"count": 0}, {"count": 1, "temperature": 0.0}, {"count": 1, "max_tokens": 0}])
def test_sample_numbers_out_of_range_are_refused(lm: NeuralLm, given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="a temperature above 0"):
        sample(lm, **{"seed": 1, **given})  # type: ignore[arg-type]
