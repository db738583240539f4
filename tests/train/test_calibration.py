"""Expected calibration error, by hand and against its definition bin by bin."""

from __future__ import annotations

import random

import pytest

from asr_ligru.decode.greedy import BestPath
from asr_ligru.train.calibration import calibration, expected_calibration_error


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


def test_calibration_counts_tokens_that_are_in_the_reference() -> None:
    paths = {"a": BestPath([5, 6, 7], -1.0, [0.9, 0.8, 0.7], []), "b": BestPath([], 0.0, [], [])}
    found = calibration(paths, {"a": [5, 8, 7, 9], "b": [5]})
    assert found is not None
    assert (found.right, found.confidence) == (pytest.approx(2 / 3), pytest.approx(0.8))
    assert found.ece == pytest.approx((0.1 + 0.8 + 0.3) / 3)


@pytest.mark.parametrize(("tokens", "ref"), [([], [1]), ([1], [])])
def test_calibration_without_tokens_is_none(tokens: list[int], ref: list[int]) -> None:
    assert calibration({"a": BestPath(tokens, 0.0, [0.5] * len(tokens), [])}, {"a": ref}) is None
