"""How far an error rate would move on another test set of the same kind: the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SAMPLES = 10_000
_CONFIDENCE = 0.95
_DRAWS = 4_000_000  # drawn at a time, which bounds the memory


def bootstrap_interval(errors: Sequence[int], refs: Sequence[int], seed: int = 0) -> list[float] | None:
    """Return the 95 % percentile interval of ``sum(errors) / sum(refs)``, units drawn with replacement.

    Args:
        errors: errors of each unit (utterance or speaker).
        refs: reference counts of each unit.
        seed: of the draws; the same seed gives the same bounds.

    Returns:
        [low, high], or None with fewer than two units.

    Source: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", 2004.
    They take the draws' standard deviation; percentiles cannot fall below zero.
    """
    if len(errors) < 2:
        return None
    totals = resampled(np.array([errors, refs]), seed)  # (2, samples)
    drawn = totals[:, totals[1] > 0]  # a draw without reference words has no rate
    tail = (1 - _CONFIDENCE) / 2
    return [float(bound) for bound in np.quantile(drawn[0] / drawn[1], [tail, 1 - tail])]


def resampled(counts: npt.NDArray[np.int64], seed: int = 0, samples: int = SAMPLES) -> npt.NDArray[np.int64]:
    """Return sums of ``counts`` over units drawn with replacement, the same units for each row.

    Args:
        counts: (rows, units) numbers.
        seed: of the draws.
        samples: number of draws.

    Returns:
        (rows, samples).
    """
    rng = np.random.default_rng(seed)
    units = counts.shape[1]
    batch = max(1, _DRAWS // units)
    sizes = [min(batch, samples - done) for done in range(0, samples, batch)]
    return np.concatenate([counts[:, rng.integers(units, size=(size, units))].sum(-1) for size in sizes], axis=1)
