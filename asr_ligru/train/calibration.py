"""Whether a model is right as often as it is sure, and the temperature that makes it so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from asr_ligru import ranks
from asr_ligru.decode.result import Result, TimedWord
from asr_ligru.score.wer import score
from asr_ligru.text.units import words_of

BINS = 10
TEMPERATURES = tuple(2.0 ** (step / 4) for step in range(-4, 13))  # those that are tried: 1/2 to 8
_SURE = 1e-6  # how near to 0 or 1 a confidence counts in the likelihood


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a model is of its words, and how often it is right; fractions.

    Attributes:
        temperature: what log probabilities are divided by for confidences.
        word_ece: expected calibration error with it: the mean distance of the two, over words of like confidence.
        word_ece_raw: the same without it.
        word_confidence: mean confidence with it.
        word_right: share of the words that stand in the reference, too.
    """

    temperature: float
    word_ece: float
    word_ece_raw: float
    word_confidence: float
    word_right: float


def of_all_processes(heard: dict[float, dict[str, Result]]) -> dict[float, dict[str, Result]]:
    """Return the readings of all processes of the run; of other processes' ones the words alone."""
    if ranks.count() == 1:
        return heard
    found: dict[float, dict[str, Result]] = {}
    for temperature, readings in heard.items():
        words: dict[str, Any] = {
            utt_id: [[w.text, w.start, w.end, w.confidence] for w in r.words] for utt_id, r in readings.items()
        }
        found[temperature] = {
            utt_id: Result("", 0.0, tuple(TimedWord(*word) for word in timed), ())
            for utt_id, timed in ranks.merged(words).items()
        }
    return found


def fit_temperature(heard: Mapping[float, Mapping[str, Result]], refs: Mapping[str, str]) -> Calibration | None:
    """Choose the temperature under which what is right is the likeliest.

    Args:
        heard: by temperature, 1 among them, the readings by utterance id; they differ in confidences alone.
        refs: what was said, by utterance id.

    Returns:
        None when there are no words, or no reference has any.

    Source: Guo et al., "On calibration of modern neural networks", 2017, sections 4.2 and 2 (eq. 3, with ten bins of
    equal width), for words instead of classes: a word is right where the least edits between reading and reference
    leave it alone.
    """
    if not any(refs[utt_id] for utt_id in heard[1.0]) or not any(r.words for r in heard[1.0].values()):
        return None
    right = _right(heard[1.0], refs)
    sure = {t: [w.confidence for r in readings.values() for w in r.words] for t, readings in heard.items()}
    best = min(sure, key=lambda t: _surprise(sure[t], right))
    return Calibration(
        temperature=best,
        word_ece=expected_calibration_error(sure[best], right),
        word_ece_raw=expected_calibration_error(sure[1.0], right),
        word_confidence=float(np.mean(sure[best])),
        word_right=float(np.mean(right)),
    )


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


def _surprise(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the mean negative log-likelihood, nats, of what was right."""
    sure = np.clip(np.asarray(confidences), _SURE, 1 - _SURE)
    return float(-np.log(np.where(right, sure, 1 - sure)).mean())


def _right(readings: Mapping[str, Result], refs: Mapping[str, str]) -> list[bool]:
    """Return for each word of the readings, in order, whether it is right."""
    numbers: dict[str, str] = {}
    ids = count()

    def numbered(words: Sequence[str]) -> str:  # scoring takes words as they are, whatever characters they have
        return " ".join(numbers.setdefault(word, str(next(ids))) for word in words)

    said = {utt_id: numbered(words_of(refs[utt_id])) for utt_id in readings}
    hyps = {utt_id: numbered([word.text for word in reading.words]) for utt_id, reading in readings.items()}
    return [ref == hyp for u in score(said, hyps).utterances for ref, hyp in u.pairs if hyp is not None]
