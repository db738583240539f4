"""Whether a model is right as often as it is sure: the expected calibration error of the tokens it emits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr_ligru.decode.greedy import BestPath
from asr_ligru.score.wer import score

BINS = 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a model is, and how often it is right; fractions.

    Attributes:
        ece: expected calibration error: the mean distance of the two, over tokens of like confidence.
        confidence: mean probability of the emitted tokens.
        right: share of them that stand in the reference, too.
    """

    ece: float
    confidence: float
    right: float


def calibration(paths: Mapping[str, BestPath], refs: Mapping[str, Sequence[int]]) -> Calibration | None:
    """Compare each emitted token's confidence with whether it is right.

    Args:
        paths: by utterance id.
        refs: reference tokens by utterance id.

    Returns:
        None when no token was emitted, or no reference has any.

    Source: Guo et al., "On calibration of modern neural networks", 2017, eq. 3, with ten bins of equal width; a
    token is right where the least edits between hypothesis and reference leave it alone.
    """
    sure = [p for path in paths.values() for p in path.confidences]
    if not sure or not any(refs[utt_id] for utt_id in paths):
        return None
    aligned = score({u: _text(refs[u]) for u in paths}, {u: _text(path.tokens) for u, path in paths.items()})
    right = [ref == hyp for u in aligned.utterances for ref, hyp in u.pairs if hyp is not None]
    ece = expected_calibration_error(sure, right)
    return Calibration(ece, float(np.mean(sure)), float(np.mean(right)))


def expected_calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the mean of |confidence - share right| over ten bins of confidence, weighted by their sizes.

    Args:
        confidences: at least one, in [0, 1].
        right: for each of them, whether it was.
    """
    sure, correct = np.asarray(confidences), np.asarray(right, dtype=np.float64)
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=sure - correct)
    return float(np.abs(gaps).sum() / len(sure))


def _text(tokens: Sequence[int]) -> str:
    return " ".join(map(str, tokens))
