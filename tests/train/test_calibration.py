"""Expected calibration error, by hand and against its definition bin by bin."""

from __future__ import annotations

import math
import random

import pytest

from asr_ligru.decode.result import Result, TimedWord
from asr_ligru.train.calibration import TEMPERATURES, expected_calibration_error, fit_temperature


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_expected_calibration_error_by_hand() -> None:
    # bin 0.9-1.0: mean confidence 0.95, half right; bin 0.5-0.6: 0.55, always right
    assert expected_calibration_error([0.95, 0.95, 0.55, 0.55], [True, False, True, True]) == pytest.approx(0.45)
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0


def test_expected_calibration_error_equals_the_sum_over_bins() -> None:
    rng = random.Random(4)
    sure = [rng.random() for _ in range(500)]
    right = [rng.random() < p**2 for p in sure]
    total = 0.0
    for low in range(10):
        inside = [n for n, p in enumerate(sure) if low <= 10 * p < low + 1]
        accuracy, mean = sum(right[n] for n in inside) / len(inside), sum(sure[n] for n in inside) / len(inside)
        total += len(inside) / len(sure) * abs(accuracy - mean)
    assert expected_calibration_error(sure, right) == pytest.approx(total)


def reading(*words: tuple[str, float]) -> Result:
    text = " ".join(word for word, _ in words)
    return Result(text, -1.0, tuple(TimedWord(w, n, n + 1, p) for n, (w, p) in enumerate(words)), ((text, -1.0),))


def test_fit_temperature_counts_words_that_are_in_the_reference() -> None:
    heard = {1.0: {"a": reading(("x", 0.9), ("no\u00a0break", 0.8), ("z", 0.7)), "b": reading()}}
    found = fit_temperature(heard, {"a": "x no\u00a0break w v", "b": "x"})
    assert found is not None
    assert (found.word_right, found.word_confidence) == (pytest.approx(2 / 3), pytest.approx(0.8))
    assert found.word_ece == found.word_ece_raw == pytest.approx((0.1 + 0.2 + 0.7) / 3)


def test_fit_temperature_finds_the_one_that_tells_the_truth() -> None:
    rng = random.Random(7)
    logits = [rng.gauss(2.0, 1.5) for _ in range(4000)]
    words = ["right" if rng.random() < sigmoid(x) else "wrong" for x in logits]
    heard = {
        t: {"u": reading(*((w, sigmoid(4.0 * x / t)) for w, x in zip(words, logits, strict=True)))}
        for t in TEMPERATURES
    }
    found = fit_temperature(heard, {"u": " ".join(["right"] * len(words))})
    assert found is not None
    assert found.temperature == 4.0
    assert found.word_ece < 0.02 < found.word_ece_raw


@pytest.mark.parametrize(("words", "ref"), [([], "x"), ([("x", 0.5)], "")])
def test_fit_temperature_without_words_is_none(words: list[tuple[str, float]], ref: str) -> None:
    assert fit_temperature({1.0: {"a": reading(*words)}}, {"a": ref}) is None
