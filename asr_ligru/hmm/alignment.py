"""Which state of which phone each frame of an utterance belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.hmm.graph import NO_WORD, SIL, PhoneGraph, Phones, StateGraph
from asr_ligru.hmm.topology import Topology
from asr_ligru.hmm.tree import ContextTree


class Span(NamedTuple):
    """A phone or a word and its frames.

    Attributes:
        label: number of the phone, or place of the word in the transcript.
        first: its first frame.
        end: the frame after its last.
    """

    label: int
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class Alignment:
    """T frames of an utterance as the states of a sequence of N phones.

    Attributes:
        phones: (N,) int64 phones as spoken, silences among them.
        words: (N,) int64 the word each belongs to, NO_WORD for silence.
        positions: (T,) int64, the place in ``phones`` of each frame; never falls.
        states: (T,) int64, the state within the phone.
        score: log-probability of the path, acoustics scaled.
    """

    phones: Tensor
    words: Tensor
    positions: Tensor
    states: Tensor
    score: float

    @classmethod
    def of_path(cls, path: Tensor, states: StateGraph, phones: PhoneGraph, score: float) -> Alignment:
        """Read off a path (T,) of Viterbi's; ``words`` are those of the graph's nodes."""
        hmm_states = states.hmm_states[path]
        enters = torch.ones_like(path, dtype=torch.bool)
        enters[1:] = (path[1:] != path[:-1]) & (hmm_states[1:] == 0)
        nodes = states.nodes[path[enters]]
        of_words = torch.tensor(phones.words)[nodes]
        return cls(torch.tensor(phones.phones)[nodes], of_words, enters.long().cumsum(0) - 1, hmm_states, score)

    @classmethod
    def equal(cls, words: Sequence[Phones], topology: Topology, num_frames: int) -> Alignment | None:
        """Divide frames equally among states, silence at both ends: where training begins.

        Args:
            words: phones of each word.
            topology: states of the phones.
            num_frames: T.

        Returns:
            None where there are fewer frames than states.
        """
        spoken = [(SIL, NO_WORD), *((p, w) for w, phones in enumerate(words) for p in phones), (SIL, NO_WORD)]
        chain = [(place, s) for place, (phone, _) in enumerate(spoken) for s in range(topology.states_of(phone))]
        if num_frames < len(chain):
            return None
        position, state = torch.tensor(chain)[torch.arange(num_frames) * len(chain) // num_frames].unbind(1)
        phones, of_words = torch.tensor(spoken).unbind(1)
        return cls(phones, of_words, position, state, 0.0)

    def __len__(self) -> int:
        return len(self.positions)

    def fits(self, topology: Topology, num_frames: int) -> bool:
        """Return whether it divides so many frames among states that the phones have; one from a file may not."""
        if len(self.positions) != num_frames or len(self.states) != num_frames or len(self.words) != len(self.phones):
            return False
        places = self.positions.diff(prepend=torch.tensor([-1]), append=torch.tensor([len(self.phones)]))
        if not ((places >= 0) & (places <= 1)).all() or not self._within(self.phones, len(topology.phones)):
            return False
        sizes = torch.tensor([topology.states_of(phone) for phone in self.phones.tolist()])
        return self._within(self.states, sizes[self.positions])

    @staticmethod
    def _within(values: Tensor, end: Tensor | int) -> bool:
        return bool(((values >= 0) & (values < end)).all())

    @property
    def phone_of_frame(self) -> Tensor:
        """(T,) int64 phones."""
        return self.phones[self.positions]

    @property
    def stays(self) -> Tensor:
        """(T,) bool, whether the next frame is in the same state; False for the last."""
        same = (self.positions[1:] == self.positions[:-1]) & (self.states[1:] == self.states[:-1])
        return torch.cat([same, same.new_zeros(1)])

    @property
    def contexts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Left neighbour, phone and right neighbour of each frame, (T,) each; silence beyond the edges."""
        edge = self.phones.new_full((1,), SIL)
        left, right = torch.cat([edge, self.phones[:-1]]), torch.cat([self.phones[1:], edge])
        return left[self.positions], self.phone_of_frame, right[self.positions]

    def pdfs(self, tree: ContextTree) -> Tensor:
        """Return the tied state (T,) int64 of each frame."""
        left, phone, right = self.contexts
        return tree.table[phone, left, right, self.states].long()

    def phone_spans(self) -> list[Span]:
        """Return the phones with their frames, silences among them."""
        ends = self.positions.bincount().cumsum(0).tolist()
        return [Span(*span) for span in zip(self.phones.tolist(), [0, *ends], ends, strict=False)]

    def word_spans(self) -> list[Span]:
        """Return the words with their frames, without silences."""
        spans = []
        for word, group in groupby(zip(self.words.tolist(), self.phone_spans(), strict=True), key=lambda pair: pair[0]):
            inside = [span for _, span in group]
            if word != NO_WORD:
                spans.append(Span(word, inside[0].first, inside[-1].end))
        return spans


def packed(alignments: Sequence[Alignment | None]) -> dict[str, Tensor]:
    """Return all alignments one after another; one that there is not has no phones."""
    there = [a for a in alignments if a is not None]
    none = torch.zeros(0, dtype=torch.int64)
    return {
        "num_phones": torch.tensor([0 if a is None else len(a.phones) for a in alignments], dtype=torch.int64),
        "num_frames": torch.tensor([0 if a is None else len(a) for a in alignments], dtype=torch.int64),
        "scores": torch.tensor([0.0 if a is None else a.score for a in alignments], dtype=torch.float64),
        "phones": torch.cat([none, *(a.phones for a in there)]).int(),
        "words": torch.cat([none, *(a.words for a in there)]).int(),
        "positions": torch.cat([none, *(a.positions for a in there)]).int(),
        "states": torch.cat([none, *(a.states for a in there)]).int(),
    }


def unpacked(tensors: Mapping[str, Tensor]) -> list[Alignment | None]:
    """Return the alignments that ``packed`` was given."""
    phones, words = (torch.split(tensors[name].long(), tensors["num_phones"].tolist()) for name in ("phones", "words"))
    positions, states = (
        torch.split(tensors[name].long(), tensors["num_frames"].tolist()) for name in ("positions", "states")
    )
    rows = zip(phones, words, positions, states, tensors["scores"].tolist(), strict=True)
    return [Alignment(*row) if len(row[0]) else None for row in rows]


def join(alignments: Sequence[Alignment | None], own: Sequence[int]) -> list[Alignment | None]:
    """Return the alignments of all processes of a run.

    Args:
        alignments: of all utterances; those that are not ``own`` are not looked at.
        own: the utterances that ``ranks.share`` gave this process.
    """
    if ranks.count() == 1:
        return list(alignments)
    parts = {name: ranks.gathered_tensors(table) for name, table in packed([alignments[i] for i in own]).items()}
    of_rank = ({name: tables[rank] for name, tables in parts.items()} for rank in range(ranks.count()))
    return ranks.dealt([unpacked(tables) for tables in of_rank])
