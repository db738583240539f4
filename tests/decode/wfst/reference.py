"""What a search in a graph must find, the plain way: every sentence that fits into the frames, each one aligned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from asr_ligru.hmm.topology import Pauses, Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.text.ngram import BOS, EOS, NgramModel

LN10 = math.log(10)
Spelled = Mapping[str, Sequence[tuple[int, ...]]]


@dataclass(frozen=True)
class Place:
    """What a frame may be: a column of the scores, and the word (counted in the sentence) it belongs to, if any.

    ``stay`` is the cost of another frame of the same, None where there is none; ``skip`` says whether the place may be
    left out.
    """

    column: int
    word: int | None
    enter: float = 0.0
    stay: float | None = 0.0
    skip: bool = False


@dataclass(frozen=True)
class Found:
    """The best way to say a sentence."""

    words: tuple[str, ...]
    score: float
    spans: tuple[tuple[int, int], ...]


def ctc_places(spellings: Sequence[tuple[int, ...]], boundary: int | None) -> list[Place]:
    """Return the places of a CTC path: blanks may be left out, but not between equal tokens."""
    tokens: list[tuple[int, int | None]] = []
    for word, spelling in enumerate(spellings):
        tokens += [(boundary, None)] if word and boundary is not None else []
        tokens += [(token, word) for token in spelling]
    places = []
    for n, (token, word) in enumerate(tokens):
        places += [Place(0, None, skip=not n or tokens[n - 1][0] != token), Place(token, word)]
    return [*places, Place(0, None, skip=True)]


def hmm_places(phones: Sequence[tuple[int, int | None]], tree: ContextTree, transitions: Transitions) -> list[Place]:
    """Return the tied states of (phone, word) pairs, each left once and stayed in as often as one likes."""
    names = [0, *(phone for phone, _ in phones), 0]
    places = []
    for n, (_, word) in enumerate(phones):
        for pdf in tree.states(names[n], names[n + 1], names[n + 2]):
            stay = float(transitions.stay[pdf])
            places.append(Place(pdf, word, 0.1 * math.log(1 - stay), 0.1 * math.log(stay)))
    return places


def align(places: Sequence[Place], scores: np.ndarray) -> tuple[float, list[int]]:
    """Return score and places of the best path: token passing, each token with its whole path."""
    if sum(not place.skip for place in places) > len(scores):
        return -math.inf, []
    tokens = {n: (places[n].enter + scores[0, places[n].column], [n]) for n in _after(-1, places)}
    for frame in scores[1:]:
        moved: dict[int, tuple[float, list[int]]] = {}
        for n, (score, path) in tokens.items():
            stay = places[n].stay
            goals = [(m, places[m].enter) for m in _after(n, places)] + ([(n, stay)] if stay is not None else [])
            for m, cost in goals:
                total = score + cost + frame[places[m].column]
                if m not in moved or total > moved[m][0]:
                    moved[m] = (total, [*path, m])
        tokens = moved
    ends = [tokens[n] for n in tokens if all(place.skip for place in places[n + 1 :])]
    return max(ends, default=(-math.inf, []))


def _after(n: int, places: Sequence[Place]) -> list[int]:
    found = []
    for m in range(n + 1, len(places)):
        found.append(m)
        if not places[m].skip:
            break
    return found


def language_score(model: NgramModel, words: Sequence[str]) -> float:
    """Return the natural-log score of a sentence, each word by its own n-gram or by backing off, whichever is best."""
    reached = {(BOS,) if (BOS,) in model.orders[0] and model.order > 1 else (): 0.0}
    for word in (*words, EOS):
        after: dict[tuple[str, ...], float] = {}
        for history, score in reached.items():
            while True:
                gram = (*history, word)
                if gram in model.orders[len(history)]:
                    goal = gram[-(model.order - 1) :] if model.order > 1 else ()
                    total = score + model.orders[len(history)][gram][0]
                    after[goal] = max(total, after.get(goal, -math.inf))
                if not history:
                    break
                score += model.orders[len(history) - 1][history][1]
                history = history[1:]
        reached = after
    return LN10 * max(reached.values(), default=-math.inf)


def sentences(shortest: Mapping[str, int], frames: int, between: int = 0) -> Iterator[list[str]]:
    """Yield every sentence whose words, and ``between`` frames after each, fit into the frames."""
    yield []
    for word, least in shortest.items():
        if least <= frames:
            for rest in sentences(shortest, frames - least - between, between):
                yield [word, *rest]


def ctc_best(scores: np.ndarray, spelled: Spelled, boundary: int | None, model: NgramModel) -> list[Found]:
    """Return every sentence that a CTC model's scaled scores (T, V) can be, the best first."""
    shortest = {word: min(map(len, spellings)) for word, spellings in spelled.items()}
    found = [
        _best(words, [ctc_places(choice, boundary) for choice in product(*(spelled[w] for w in words))], scores, model)
        for words in sentences(shortest, len(scores), int(boundary is not None))
    ]
    return _ranked(found)


def hmm_best(
    scores: np.ndarray, spelled: Spelled, tree: ContextTree, transitions: Transitions, model: NgramModel
) -> list[Found]:
    """Return every sentence that a HMM's scaled scores (T, P) can be, the best first."""
    states = tree.topology.num_states
    shortest = {word: states * min(map(len, spellings)) for word, spellings in spelled.items()}
    found = []
    for words in sentences(shortest, len(scores)):
        ways = []
        for choice in product(*(spelled[w] for w in words)):
            for pauses in product((False, True), repeat=len(words) + 1):
                phones: list[tuple[int, int | None]] = [(0, None)] if pauses[0] else []
                for n, spelling in enumerate(choice):
                    phones += [(phone, n) for phone in spelling] + ([(0, None)] if pauses[n + 1] else [])
                if phones:
                    ways.append((hmm_places(phones, tree, transitions), _pauses(pauses, tree.topology.pauses)))
        found.append(_best(words, [places for places, _ in ways], scores, model, [cost for _, cost in ways]))
    return _ranked(found)


def _pauses(pauses: Sequence[bool], likely: Pauses) -> float:
    """Return the log-probability of silence here and none there; a sentence without words is one silence."""
    if len(pauses) == 1:
        return math.log(likely.edge)
    ends = [likely.edge, *[likely.between] * (len(pauses) - 2), likely.edge]
    return sum(math.log(p if pause else 1 - p) for p, pause in zip(ends, pauses, strict=True))


def _best(
    words: Sequence[str],
    ways: Sequence[Sequence[Place]],
    scores: np.ndarray,
    model: NgramModel,
    costs: Sequence[float] | None = None,
) -> Found:
    known = language_score(model, words)
    best = Found(tuple(words), -math.inf, ())
    for places, cost in zip(ways, costs or [0.0] * len(ways), strict=True):
        score, path = align(places, scores)
        if score + cost + known > best.score:
            at = [places[n].word for n in path]
            spans = [(at.index(n), len(at) - at[::-1].index(n)) for n in range(len(words))]
            best = Found(tuple(words), score + cost + known, tuple(spans))
    return best


def _ranked(found: Sequence[Found]) -> list[Found]:
    return sorted((f for f in found if f.score > -math.inf), key=lambda f: -f.score)
