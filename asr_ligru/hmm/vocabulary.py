"""The words that a GMM-HMM knows, as phones; characters where there is no lexicon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr_ligru.config import HmmConfig
from asr_ligru.hmm.align import Transcript
from asr_ligru.hmm.graph import Phones
from asr_ligru.hmm.topology import PAUSES, Pauses, Topology
from asr_ligru.safety import printable
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.typing import Utterance

_EXAMPLES = 3
_LISTED = 20


@dataclass(frozen=True)
class Missing:
    """A word without pronunciation.

    Attributes:
        word: the word.
        count: how often it occurs.
        examples: the first utterances it occurs in, three at most.
    """

    word: str
    count: int
    examples: tuple[str, ...]


class Vocabulary:
    """Words, their phones and these phones' states.

    Args:
        lexicon: pronunciations.
        phone_states: states of a phone.
        silence_states: states of silence.
        pauses: how likely silence is around words.

    Attributes:
        lexicon: as given.
        topology: phones and states.
        entries: (word, phones) as numbers, in the lexicon's order.
    """

    def __init__(
        self, lexicon: Lexicon, phone_states: int = 3, silence_states: int = 3, pauses: Pauses = PAUSES
    ) -> None:
        self.lexicon = lexicon
        self.topology = Topology.of(lexicon.phones, phone_states, silence_states, pauses)
        numbers = {phone: i for i, phone in enumerate(self.topology.phones)}
        self.entries = [(word, tuple(numbers[phone] for phone in phones)) for word, phones in lexicon]
        self._choices: dict[str, list[Phones]] = {}
        for word, spoken in self.entries:
            self._choices.setdefault(word, []).append(spoken)

    @classmethod
    def of(cls, lexicon: Lexicon, config: HmmConfig) -> Vocabulary:
        """Return the vocabulary of a GMM-HMM with these settings."""
        return cls(
            lexicon, config.phone_states, config.silence_states, Pauses(config.edge_silence, config.inner_silence)
        )

    def transcript(self, text: str) -> Transcript:
        """Return the pronunciations of each word of ``text``; all of them must be known."""
        return [self._choices[word] for word in text.split()]

    def missing(self, utterances: Iterable[Utterance]) -> list[Missing]:
        """Return the words without pronunciation, the most frequent first."""
        found: dict[str, list[str]] = {}
        for utterance in utterances:
            for word in utterance.text.split():
                if word not in self._choices:
                    found.setdefault(word, []).append(utterance.utt_id)
        listed = [Missing(word, len(ids), tuple(dict.fromkeys(ids))[:_EXAMPLES]) for word, ids in found.items()]
        return sorted(listed, key=lambda missing: (-missing.count, missing.word))


def character_lexicon(texts: Iterable[str]) -> Lexicon:
    """Return a lexicon in which every word of ``texts`` is spoken as it is spelled."""
    return Lexicon({word: [tuple(word)] for word in sorted({word for text in texts for word in text.split()})})


def render_missing(missing: Sequence[Missing]) -> str:
    """Return lines for people: each word, how often it occurs and where."""
    lines = [f"{len(missing)} word{'s' if len(missing) > 1 else ''} without pronunciation:"]
    lines += [f"  {m.count:6d} x {printable(m.word)}  in {printable(', '.join(m.examples))}" for m in missing[:_LISTED]]
    if len(missing) > _LISTED:
        lines.append(f"  and {len(missing) - _LISTED} more")
    return "\n".join(lines)
