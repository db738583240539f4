"""Where the errors are: which words, which utterances, which speakers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from asr_ligru.score.wer import Counts, Pair, Scores, UtteranceScore


def confusions(scores: Scores, limit: int | None = None) -> list[tuple[Pair, int]]:
    """Return the ``limit`` most frequent wrong pairs (reference, hypothesis) and their counts, most frequent first."""
    wrong = Counter(pair for u in scores.utterances for pair in u.pairs if pair[0] != pair[1])
    return sorted(wrong.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))[:limit]


def confusion_matrix(scores: Scores, limit: int) -> tuple[list[str], list[list[int]]]:
    """Return the ``limit`` words most often confused with others, and how often each was heard as each.

    Args:
        scores: of the set.
        limit: most words.

    Returns:
        The words by falling number of confusions, and a row for each of them as it was said, its columns as it was
        heard, in the same order: in the diagonal how often it was right. Deletions and insertions are not in it.
    """
    heard = Counter(pair for u in scores.utterances for pair in u.pairs)
    confused: Counter[str] = Counter()
    for (ref, hyp), times in heard.items():
        if ref is not None and hyp is not None and ref != hyp:
            confused.update({ref: times, hyp: times})
    words = sorted(confused, key=lambda word: (-confused[word], word))[:limit]
    return words, [[heard[ref, hyp] for hyp in words] for ref in words]


def worst(scores: Scores, limit: int) -> list[UtteranceScore]:
    """Return the ``limit`` utterances with the most word errors, shorter references first among equals."""
    wrong = [u for u in scores.utterances if u.words.errors]
    return sorted(wrong, key=lambda u: (-u.words.errors, u.words.ref, u.utt_id))[:limit]


def by_group(scores: Scores, key: Callable[[UtteranceScore], str]) -> dict[str, Counts]:
    """Return the word counts of each group that ``key`` puts utterances into, in the order of first sight."""
    groups: dict[str, Counts] = {}
    for utterance in scores.utterances:
        name = key(utterance)
        groups[name] = groups.get(name, Counts()) + utterance.words
    return groups


def snr_group(utterance: UtteranceScore) -> str:
    """Return the bucket of an utterance's signal-to-noise ratio, five decibels wide."""
    if utterance.snr_db is None:
        return "unknown"
    low = 5 * math.floor(utterance.snr_db / 5)
    return f"{low} to {low + 5} dB"


def by_snr(scores: Scores) -> dict[str, Counts]:
    """Return the word counts of each bucket of the signal-to-noise ratio, by rising ratio, the unknown last."""
    ordered = sorted(scores.utterances, key=lambda u: math.inf if u.snr_db is None else u.snr_db)
    return by_group(Scores(scores.profile, tuple(ordered)), snr_group)


def length_group(utterance: UtteranceScore) -> str:
    """Return the bucket of an utterance's reference length, in words."""
    words = utterance.words.ref
    bounds = ((0, 0), (1, 2), (3, 5), (6, 10), (11, 20), (21, 50))
    return next((f"{low}-{high}" if high else "0" for low, high in bounds if low <= words <= high), "over 50")
