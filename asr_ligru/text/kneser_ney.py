"""Estimate n-gram models by interpolated modified Kneser-Ney smoothing.

Source: Chen and Goodman 1998, equations 26 and 27. Details as in KenLM's lmplz (Heafield et al. 2013): n-grams that
begin with <s> keep their counts, one-word probabilities are interpolated with 1/V where V counts </s> and <unk>.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.text.ngram import BOS, EOS, IMPOSSIBLE, SPECIAL, UNK, Gram, NgramModel

MAX_ORDER = 6  # what the usual builds of kenlm read
FALLBACK = (0.5, 1.0, 1.5)  # lmplz's discounts where a text is too small to estimate them

Discounts = tuple[float, float, float]


@dataclass(frozen=True)
class Estimated:
    """A model and where its text was too small.

    Attributes:
        model: the model.
        discounts: of each order: what is taken from counts of one, two, and three or more.
        fallback: the orders whose discounts are ``FALLBACK``.
    """

    model: NgramModel
    discounts: tuple[Discounts, ...]
    fallback: tuple[int, ...]


def estimate(sentences: Iterable[Sequence[str]], order: int, units: str = "word") -> Estimated:
    """Estimate a model.

    Args:
        sentences: the words of each line.
        order: longest n-gram, 1 to 6.
        units: what the words are, kept with the model.

    Raises:
        ConfigError: an order out of range.
        DataError: no words, or a reserved one among them (<s>, </s>, <unk>).
    """
    counts = _adjusted_counts(checked(sentences, order), order)
    found = [_discounts(Counter(count.values())) for count in counts]
    discounts = tuple(d or FALLBACK for d in found)
    model = NgramModel(_probabilities(counts, discounts), units)
    return Estimated(model, discounts, tuple(n for n, d in enumerate(found, start=1) if d is None))


def checked(sentences: Iterable[Sequence[str]], order: int) -> Iterator[Sequence[str]]:
    """Pass sentences on that a model of this order can be estimated from; raises as ``estimate``."""
    if not 1 <= order <= MAX_ORDER:
        raise ConfigError(f"an n-gram order from 1 to {MAX_ORDER} is possible, got {order}", fix="--order 3")
    for sentence in sentences:
        if reserved := SPECIAL.intersection(sentence):
            raise DataError(f"a reserved word in the text: {', '.join(sorted(reserved))}", fix="remove it there")
        yield sentence


def _adjusted_counts(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Gram]]:
    """Return, for each n, how often n-grams occur (the longest, and those from <s> on) or after how many words."""
    raw: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        padded = (BOS, *sentence, EOS)
        for n, counter in enumerate(raw, start=1):
            counter.update(zip(*(padded[i:] for i in range(n)), strict=False))
    raw[0].pop((BOS,), None)
    if not raw[0]:
        raise DataError("no words to estimate a language model from")
    lower = []
    for count, longer in pairwise(raw):
        adjusted = Counter(gram[1:] for gram in longer)
        adjusted.update({gram: c for gram, c in count.items() if gram[0] == BOS})
        lower.append(adjusted)
    return [*lower, raw[-1]]


def _discounts(counts: Counter[int]) -> Discounts | None:
    """Return the discounts of one order from how many of its n-grams have each count; None if they cannot be had."""
    n1, n2, n3, n4 = (counts[c] for c in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return None
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if all(0 < d <= c for c, d in enumerate(found, start=1)) else None


def _probabilities(
    counts: list[Counter[Gram]], discounts: tuple[Discounts, ...]
) -> tuple[dict[Gram, tuple[float, float]], ...]:
    """Return the orders of an ``NgramModel``; orders interpolate with the next lower one."""
    shorter = _one_word(counts[0], discounts[0])
    probs = [shorter]
    weights: list[dict[Gram, float]] = []
    for count, discount in zip(counts[1:], discounts[1:], strict=True):
        total, weight = _contexts(count, discount)
        shorter = {
            gram: (c - discount[min(c, 3) - 1]) / total[gram[:-1]] + weight[gram[:-1]] * shorter[gram[1:]]
            for gram, c in count.items()
        }
        probs.append(shorter)
        weights.append(weight)
    orders = tuple(
        {gram: (math.log10(min(p, 1.0)), math.log10(weight[gram]) if gram in weight else 0.0) for gram, p in of.items()}
        for of, weight in zip(probs, [*weights, {}], strict=True)
    )
    bos = math.log10(weights[0][BOS,]) if weights else 0.0
    return ({(UNK,): orders[0].pop((UNK,)), (BOS,): (IMPOSSIBLE, bos), **orders[0]}, *orders[1:])


def _one_word(count: Counter[Gram], discount: Discounts) -> dict[Gram, float]:
    total, weight = _contexts(count, discount)
    base = weight[()] / (len(count) + 1)
    return {(UNK,): base, **{gram: (c - discount[min(c, 3) - 1]) / total[()] + base for gram, c in count.items()}}


def _contexts(count: Counter[Gram], discount: Discounts) -> tuple[dict[Gram, int], dict[Gram, float]]:
    """Return for each context how often it is followed by anything, and the share that its discounts free."""
    total: defaultdict[Gram, int] = defaultdict(int)
    freed: defaultdict[Gram, float] = defaultdict(float)
    for gram, c in count.items():
        total[gram[:-1]] += c
        freed[gram[:-1]] += discount[min(c, 3) - 1]
    return total, {context: freed[context] / total[context] for context in total}
