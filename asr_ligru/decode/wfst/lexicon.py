"""L: from units to words. The first unit of a word has a label of its own, so that a path shows where words begin."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from asr_ligru.decode.wfst.fst import EPS, Arc, Fst

Spelling = tuple[int, tuple[int, ...]]  # number of a word, from 1 on, and its units


@dataclass(frozen=True)
class Units:
    """The labels between the topology and the lexicon.

    Units are 1 to ``num``; behind them come the same as first units of words, then symbols that nothing is heard of.

    Attributes:
        num: how many units there are.
    """

    num: int

    def first(self, unit: int) -> int:
        """Return the label of a unit that begins a word."""
        return self.num + unit

    @property
    def backoff(self) -> int:
        """The label of the language model's back-off."""
        return 2 * self.num + 1

    def mark(self, number: int) -> int:
        """Return the label of mark ``number`` >= 1, which tells words apart that sound the same."""
        return self.backoff + number


@dataclass(frozen=True)
class Silence:
    """Where silence may be heard.

    Attributes:
        unit: its number.
        edge: probability that an utterance begins with it, and that it ends with it.
        between: probability of it between two words.
    """

    unit: int
    edge: float = 0.5
    between: float = 0.5


class _Builder:
    """Collects arcs; states are numbered as they are asked for."""

    def __init__(self) -> None:
        self.arcs: list[Arc] = []
        self._num_states = 0

    def state(self) -> int:
        self._num_states += 1
        return self._num_states - 1

    def arc(self, source: int, target: int, ilabel: int = EPS, olabel: int = EPS, cost: float = 0.0) -> None:
        if cost < math.inf:
            self.arcs.append((source, target, ilabel, olabel, cost))

    def chain(self, source: int, target: int, labels: Sequence[int], word: int) -> None:
        """Add a path that reads ``labels`` and writes ``word`` at its beginning."""
        for place, label in enumerate(labels):
            last = place == len(labels) - 1
            goal = target if last else self.state()
            self.arc(source, goal, label, EPS if place else word)
            source = goal

    def words(self, source: int, target: int, spellings: Sequence[Spelling], units: Units) -> int:
        """Add all words; return how many marks homophones needed."""
        left = Counter(spelled for _, spelled in spellings)
        most = max(left.values(), default=1)
        homophones = {spelled for spelled, count in left.items() if count > 1}
        for word, spelled in spellings:
            labels = [units.first(spelled[0]), *spelled[1:]]
            if spelled in homophones:
                labels.append(units.mark(left[spelled]))
                left[spelled] -= 1
            self.chain(source, target, labels, word)
        return most if most > 1 else 0

    def fst(self, final: int, loops: Sequence[tuple[int, int, int]]) -> Fst:
        """Return what was built, with ``loops`` (state, ilabel, olabel)."""
        loop_arcs = [(state, state, ilabel, olabel, 0.0) for state, ilabel, olabel in loops]
        return Fst.of([*self.arcs, *loop_arcs], {final: 0.0}, self._num_states)


def spelled_lexicon(spellings: Sequence[Spelling], units: Units, backoff: int, boundary: int | None) -> Fst:
    """Return L for output tokens.

    Args:
        spellings: the words.
        units: the labels of tokens.
        backoff: what the language model reads to back off.
        boundary: the unit between two words; None where words follow one another directly.
    """
    build = _Builder()
    start, before, after, ended = (build.state() for _ in range(4))
    build.words(before, after, spellings, units)
    build.arc(start, before)
    build.arc(start, ended)
    build.arc(after, before, EPS if boundary is None else boundary)
    build.arc(after, ended)
    return build.fst(ended, [(s, units.backoff, backoff) for s in (before, ended)])


def silence_lexicon(spellings: Sequence[Spelling], units: Units, backoff: int, silence: Silence) -> Fst:
    """Return L for phones, silence or none around each word; an utterance may be silence alone.

    Args:
        spellings: the words, a word as often as it has pronunciations.
        units: the labels of phones.
        backoff: what the language model reads to back off.
        silence: where it may be heard.
    """
    build = _Builder()
    start, opened, before, after, paused, ended = (build.state() for _ in range(6))
    mark, sil = units.mark(1 + build.words(before, after, spellings, units)), silence.unit
    build.arc(start, before, cost=_cost(1 - silence.edge))
    build.arc(start, opened, sil, cost=_cost(silence.edge))
    build.arc(opened, before, mark)
    build.arc(opened, ended)
    build.arc(after, before, cost=_cost(1 - silence.between))
    build.arc(after, paused, sil, cost=_cost(silence.between))
    build.arc(paused, before, mark)
    build.arc(after, ended, cost=_cost(1 - silence.edge))
    build.arc(after, ended, sil, cost=_cost(silence.edge))
    return build.fst(ended, [(s, units.backoff, backoff) for s in (before, ended)])


def _cost(probability: float) -> float:
    return -math.log(probability) if probability > 0 else math.inf
