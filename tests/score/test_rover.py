"""The vote on words: NIST's choices, Fiscus's examples, and ties that fall the same way each time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from asr_ligru.score.rover import NOTHING, Heard, Place, Vote, elect, word_network
from tests.score.fixtures.make_rover_cases import VOTES

CASES = json.loads(Path(__file__).with_name("fixtures").joinpath("rover_cases.json").read_text(encoding="utf-8"))


def said(text: str, *confidences: float) -> list[Heard]:
    words = text.split()
    return [Heard(word, c) for word, c in zip(words, confidences or [1.0] * len(words), strict=True)]


def texts(places: Sequence[Place]) -> list[str]:
    return [" ".join(heard.word or "@" for heard in place) for place in places]


def cheapest_alignments(places: Sequence[Place], words: Sequence[Heard]) -> int:
    """Count the ways to align words at the least cost: 4 another word, 3 a gap; where nothing was heard 1 and 0.001."""
    best: dict[tuple[int, int], tuple[float, int]] = {(0, 0): (0.0, 1)}
    for row in range(len(places) + 1):
        known = {heard.word for heard in places[row - 1]} if row else set()
        passing, other = (0.001, 1.0) if "" in known else (3.0, 4.0)
        for column in range(len(words) + 1):
            ways = []
            if row:
                ways.append((best[row - 1, column], passing))
            if row and column:
                ways.append((best[row - 1, column - 1], 0.0 if words[column - 1].word in known else other))
            if column:
                ways.append((best[row, column - 1], 3.0))
            costs = [(round(cost + step, 3), count) for (cost, count), step in ways]
            if costs:
                least = min(cost for cost, _ in costs)
                best[row, column] = least, sum(count for cost, count in costs if cost == least)
    return best[len(places), len(words)][1]


def test_elect_random_systems_is_nists_choice() -> None:
    alike = unique = 0
    for case in CASES:
        systems = [[Heard(word, sure) for word, sure in words] for words in case["systems"]]
        prefixes = [word_network(systems[:n]) for n in range(1, len(systems))]
        is_unique = all(cheapest_alignments(p, w) == 1 for p, w in zip(prefixes, systems[1:], strict=True))
        for vote, nist in zip(VOTES, case["elected"], strict=True):
            ours = " ".join(heard.word for heard in elect(word_network(systems), Vote(*vote)))
            assert ours == nist or not is_unique, case
            unique, alike = unique + is_unique, alike + (ours == nist)
    assert unique >= 100
    assert alike >= 0.97 * len(CASES) * len(VOTES)  # where several alignments are equally cheap another may be taken


def test_word_network_fiscus_example_has_a_place_for_each_word() -> None:
    network = word_network([said("a b c d"), said("b z d e"), said("b c d e f")])
    assert texts(network) == ["a @ @", "b b b", "c z c", "d d d", "e @ e", "f @ @"]


def test_elect_by_frequency_the_majority_wins() -> None:
    network = word_network([said("the cat sat"), said("a bat sat down"), said("the hat sat down")])
    assert elect(network, Vote()) == [Heard("the", 2 / 3), Heard("cat", 1 / 3), Heard("sat", 1.0), Heard("down", 2 / 3)]


def test_elect_by_confidence_mean_and_largest_differ() -> None:
    places = [[Heard("yes", 0.9), Heard("no", 0.6), Heard("yes", 0.1), NOTHING]]
    assert elect(places, Vote(0.0, 0.0, "mean")) == [Heard("no", 0.6)]
    assert elect(places, Vote(0.0, 0.0, "max")) == [Heard("yes", 0.9)]
    assert elect(places, Vote(0.0, 0.95, "max")) == []


def test_elect_equals_the_first_system_wins_and_a_word_before_nothing() -> None:
    assert elect(word_network([said("go"), said("no")]), Vote()) == [Heard("go", 0.5)]
    assert elect(word_network([said("go"), []]), Vote()) == [Heard("go", 0.5)]
    assert elect(word_network([[], said("go")]), Vote()) == [Heard("go", 0.5)]
    assert word_network([[], []]) == []
