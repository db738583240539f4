"""Whether one system is better than another on the same test set, or only luckier."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.score.bootstrap import resampled
from asr_ligru.score.wer import Pair, Scores

_GOOD_WORDS = 2  # words both systems have right that end a segment, as in sc_stats


@dataclass(frozen=True, slots=True)
class Comparison:
    """System B against system A.

    Attributes:
        change: B's error rate minus A's, as a fraction of one; below 0 when B is better.
        interval: 95 % interval of the change.
        p: two-sided probability of a difference this large between equally good systems.
        better: share of the draws in which B is better than A.
        p_seeds: the same as p, with the seeds of both systems drawn, too; None where one has a single seed.
    """

    change: float
    interval: tuple[float, float]
    p: float
    better: float
    p_seeds: float | None = None


@dataclass(frozen=True, slots=True)
class MatchedPairs:
    """The outcome of the matched-pairs test of two systems.

    Attributes:
        segments: stretches of the references in which either system errs.
        mean: mean of (A's errors - B's errors) over the segments; above 0 when B is better.
        deviation: standard deviation of that difference.
        z: standard normal statistic; 0 when the differences do not vary.
        p: its two-sided probability. The normal approximation wants about 30 segments.
    """

    segments: int
    mean: float
    deviation: float
    z: float
    p: float


def paired_bootstrap(a: Sequence[Scores], b: Sequence[Scores], seed: int = 0) -> Comparison:
    """Compare two systems by drawing utterances with replacement, the same ones for both.

    Args:
        a: one system's scores, one for each of its seeds: an utterance's errors are their mean.
        b: the other system's, of the same utterances.
        seed: of the draws.

    Raises:
        DataError: the two systems were not scored on the same utterances.

    Source: Bisani and Ney, 2004; drawing seeds, too: Bouthillier et al., "Accounting for variance in machine learning
    benchmarks", 2021. The two-sided p doubles the smaller tail, with one draw added to each
    so that it is never 0.
    """
    _same_utterances(a, b)
    errors_a, errors_b = _mean_errors(a), _mean_errors(b)
    delta = [errors_b[utt_id] - errors for utt_id, errors in errors_a.items()]
    words = [u.words.ref for u in a[0].utterances]
    totals = resampled(np.array([delta, words], dtype=np.float64), seed)
    drawn = totals[0] / np.maximum(totals[1], 1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Comparison(
        change=sum(delta) / sum(words),
        interval=(float(low), float(high)),
        p=_two_sided(drawn),
        better=float((drawn < 0).mean()),
        p_seeds=_two_sided(_drawn_with_seeds(a, b, seed)) if min(len(a), len(b)) > 1 else None,
    )


def _drawn_with_seeds(a: Sequence[Scores], b: Sequence[Scores], seed: int) -> NDArray[np.float64]:
    """Return differences of errors between systems of drawn seeds on drawn utterances, one for each draw."""
    errors = [{u.utt_id: u.words.errors for u in scores.utterances} for scores in (*a, *b)]
    totals = resampled(np.array([[one[utt_id] for utt_id in errors[0]] for one in errors]), seed)  # (seeds, draws)
    rng = np.random.default_rng(seed + 1)
    of_a, of_b = (
        np.take_along_axis(part, rng.integers(len(part), size=part.shape), axis=0).mean(axis=0)
        for part in (totals[: len(a)], totals[len(a) :])
    )
    return np.asarray(of_b - of_a, dtype=np.float64)


def _two_sided(drawn: NDArray[np.float64]) -> float:
    """Return twice the smaller tail of drawn differences, one draw added to it."""
    tail = 1 + min(int((drawn >= 0).sum()), int((drawn <= 0).sum()))
    return min(1.0, 2 * tail / (len(drawn) + 1))


def mapsswe(a: Sequence[Scores], b: Sequence[Scores]) -> MatchedPairs:
    """Compare two systems by the matched-pairs sentence-segment word-error test.

    Args:
        a: one system's scores, one for each of its seeds: a segment's errors are their mean.
        b: the other system's, of the same utterances.

    Raises:
        DataError: the two were not scored on the same utterances.

    Source: Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", 1989;
    segments end after two words both have right, as in NIST's sc_stats.
    """
    _same_utterances(a, b)
    of_a, of_b = ([{u.utt_id: u.pairs for u in scores.utterances} for scores in system] for system in (a, b))
    return matched_pairs(
        [
            errors
            for utt_id in of_a[0]
            for errors in segment_errors([pairs[utt_id] for pairs in of_a], [pairs[utt_id] for pairs in of_b])
        ]
    )


def matched_pairs(errors: Sequence[tuple[float, float]]) -> MatchedPairs:
    """Return the matched-pairs test over (A's errors, B's errors) of independent segments."""
    differences = np.array([a - b for a, b in errors], dtype=np.float64)
    if len(differences) < 2 or not differences.std():
        mean = float(differences.mean()) if len(differences) else 0.0
        return MatchedPairs(len(differences), mean, 0.0, 0.0, 1.0)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    z = mean / (deviation / math.sqrt(len(differences)))
    return MatchedPairs(len(differences), mean, deviation, z, math.erfc(abs(z) / math.sqrt(2)))


def segment_errors(a: Sequence[Sequence[Pair]], b: Sequence[Sequence[Pair]]) -> list[tuple[float, float]]:
    """Cut one utterance into independent segments; return (A's errors, B's errors) of each with an error.

    Args:
        a: word alignments of A's hypotheses, one for each of its seeds.
        b: those of B's hypotheses to the same reference.
    """
    segments: list[tuple[float, float]] = []
    errors_a = errors_b = good = 0
    for word in zip(*(_by_word(pairs) for pairs in (*a, *b)), strict=True):
        if any(inserted for inserted, _ in word):
            good = 0
        good = 0 if any(wrong for _, wrong in word) else good + 1
        errors_a += sum(map(sum, word[: len(a)]))
        errors_b += sum(map(sum, word[len(a) :]))
        if good >= _GOOD_WORDS and errors_a + errors_b:
            segments.append((errors_a / len(a), errors_b / len(b)))
            errors_a = errors_b = 0
    return [*segments, (errors_a / len(a), errors_b / len(b))] if errors_a + errors_b else segments


def holm(p_values: Sequence[float]) -> list[float]:
    """Return ``p_values`` corrected for having been looked at together, in the same order.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _by_word(pairs: Sequence[Pair]) -> Iterator[tuple[int, int]]:
    """Yield (insertions before it, 1 if wrong) of each reference word, then what follows the last."""
    inserted = 0
    for ref, hyp in pairs:
        if ref is None:
            inserted += 1
        else:
            yield inserted, int(ref != hyp)
            inserted = 0
    yield inserted, 0


def _mean_errors(system: Sequence[Scores]) -> dict[str, float]:
    errors = {u.utt_id: 0.0 for u in system[0].utterances}
    for utterance in (u for scores in system for u in scores.utterances):
        errors[utterance.utt_id] += utterance.words.errors / len(system)
    return errors


def _same_utterances(a: Sequence[Scores], b: Sequence[Scores]) -> None:
    sets = [{u.utt_id for u in scores.utterances} for scores in (*a, *b)]
    only = sorted({utt_id for ids in sets for utt_id in ids ^ sets[0]})
    if only:
        raise DataError(
            f"scored on different utterances: {len(only)} are not in all",
            where=printable(", ".join(only[:5])),
            fix="score all on the same test set",
        )
