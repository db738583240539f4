"""Several systems' words made one text: ROVER's word transition network and vote.

Source: Fiscus, "A post-processing system to yield reduced word error rates: Recognizer Output Voting Error Reduction
(ROVER)", 1997; costs and ties as in NIST's sctk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asr_ligru.config import choice, ranged

# Costs of aligning, in thousandths: another word, no place for a word or no word for a place; and at a place where
# some system heard nothing: a word, and none.
_OTHER, _GAP, _NEW, _NONE = 4000, 3000, 1000, 1
_BOTH, _PASSED, _ADDED = range(3)  # steps: a word at a place, a place without word, a word without place


@dataclass(frozen=True, slots=True)
class Heard:
    """A word of one system, or that it heard none.

    Attributes:
        word: the word; empty for none.
        confidence: probability that it is right, in [0, 1]; of none it means nothing.
    """

    word: str
    confidence: float = 1.0


NOTHING = Heard("")
Place = list[Heard]  # what the systems heard there


@dataclass(frozen=True)
class Vote:
    """How a word is chosen: alpha N / S + (1 - alpha) C for N of S systems, with C of their confidences."""

    alpha: float = ranged(1.0, 0.0, 1.0)  # 1: by frequency alone
    null_confidence: float = ranged(0.0, 0.0, 1.0)  # of having heard nothing
    method: str = choice("mean", "max")  # C


def word_network(systems: Sequence[Sequence[Heard]]) -> list[Place]:
    """Align the words of systems to places, one system after the other; the result depends on their order.

    Args:
        systems: the words of each, at least one system.

    Returns:
        The places in order, each with one entry of every system. Where a system is the first with a word there, its
        word stands before the others' nothing.
    """
    places = [[heard] for heard in systems[0]]
    for number, words in enumerate(systems[1:], start=1):
        places = _joined(places, words, number)
    return places


def elect(places: Sequence[Place], vote: Vote) -> list[Heard]:
    """Choose a word, or none, at each place; of equals the one that stands first.

    Returns:
        The words; their confidence is their score in the vote.
    """
    chosen = (max(_candidates(place, vote), key=lambda heard: heard.confidence) for place in places)
    return [heard for heard in chosen if heard.word]


def _candidates(place: Place, vote: Vote) -> list[Heard]:
    """Return the different words of a place, each once, with their scores."""
    found: dict[str, list[float]] = {}
    for heard in place:
        confidence = heard.confidence if heard.word else vote.null_confidence
        found.setdefault(heard.word, []).append(confidence)
    sure = {word: max(all_) if vote.method == "max" else sum(all_) / len(all_) for word, all_ in found.items()}
    return [Heard(word, vote.alpha * len(found[word]) / len(place) + (1 - vote.alpha) * sure[word]) for word in found]


def _joined(places: list[Place], words: Sequence[Heard], number: int) -> list[Place]:
    """Return the places with the words of one more system, which is number ``number`` from 0."""
    joined: list[Place] = []
    row, column = len(places), len(words)
    ways = _ways(places, words)
    while row or column:
        way = ways[row][column]
        if way == _ADDED:
            joined.append([words[column - 1], *[NOTHING] * number])
        else:
            joined.append([*places[row - 1], NOTHING if way == _PASSED else words[column - 1]])
        row, column = row - (way != _ADDED), column - (way != _PASSED)
    return joined[::-1]


def _ways(places: Sequence[Place], words: Sequence[Heard]) -> list[bytearray]:
    """Return, for so many places and so many words, the last step of the cheapest alignment."""
    ways = [bytearray([_ADDED]) * (len(words) + 1)]
    costs = [column * _GAP for column in range(len(words) + 1)]
    for place in places:
        known = {heard.word for heard in place}
        passing = _NONE if "" in known else _GAP
        other = _NEW if "" in known else _OTHER
        now, back = [costs[0] + passing], bytearray([_PASSED])
        for column, heard in enumerate(words, start=1):
            same = costs[column - 1] + (0 if heard.word in known else other)
            passed, added = costs[column] + passing, now[-1] + _GAP
            if same <= passed and same <= added:
                back.append(_BOTH)
            else:
                back.append(_PASSED if passed < added else _ADDED)
            now.append(min(same, passed, added))
        costs = now
        ways.append(back)
    return ways
