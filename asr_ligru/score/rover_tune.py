"""How systems vote best, found on a development set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.errors import ConfigError
from asr_ligru.safety import printable
from asr_ligru.score.rover import Vote
from asr_ligru.score.rover_files import Networks, text_of
from asr_ligru.score.texts import read_texts
from asr_ligru.score.wer import Scores, score

_STEPS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True)
class Election:
    """One way to vote and how well it does."""

    vote: Vote
    scores: Scores

    @property
    def rank(self) -> tuple[float, ...]:
        """What is smaller for the better one: word errors, character errors, and the vote by frequency first."""
        errors = self.scores.words.errors, self.scores.chars.errors
        return *errors, -self.vote.alpha, self.vote.null_confidence, self.vote.method == "max"


def votes() -> list[Vote]:
    """Return what is tried; with alpha 1 confidences mean nothing."""
    unsure = itertools.product(_STEPS[:-1], _STEPS, ("mean", "max"))
    return [Vote(), *(Vote(alpha, null, method) for alpha, null, method in unsure)]


def development_texts(ref: Path) -> dict[str, str]:
    """Return the references that a vote may be chosen on.

    Raises:
        ConfigError: it is a test set, or shares utterances with the one beside it.
        DataError: unreadable.
    """
    texts = read_texts(ref, "ref").texts
    held_out = ref.with_name(f"test{ref.suffix}")
    shared = texts.keys() & read_texts(held_out, "ref").texts.keys() if held_out.is_file() else ()
    if ref.stem == "test" or shared:
        raise ConfigError(
            "a vote is not chosen on the test set", where=printable(str(ref)), fix="name the development set's texts"
        )
    return texts


def tune_vote(
    networks: Networks,
    refs: Mapping[str, str],
    profile: str = "none",
    *,
    ways: Sequence[Vote] = (),
    tick: Callable[[], object] = lambda: None,
) -> list[Election]:
    """Try ways to vote.

    Args:
        networks: what the systems heard.
        refs: what was said, by utterance id; what no system has counts as deleted.
        profile: how both sides are normalised.
        ways: those of ``votes`` by default.
        tick: called after each.

    Returns:
        The best first.

    Raises:
        DataError: utterances without reference.
    """
    found = []
    for vote in ways or votes():
        hyps = {utt_id: text_of(places, vote) for utt_id, places in networks.places.items()}
        found.append(Election(vote, score(refs, hyps, profile=profile, allow_missing=True)))
        tick()
    return sorted(found, key=lambda election: election.rank)
