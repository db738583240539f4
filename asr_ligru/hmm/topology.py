"""Phones as left-to-right chains of states with self-loops, and how likely a state is to go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

SILENCE = "SIL"
_INITIAL_STAY = 0.75  # Kaldi's topologies begin with it
_FLOOR = 0.01
_MIN_COUNT = 5.0


@dataclass(frozen=True)
class Pauses:
    """How likely silence is.

    Attributes:
        edge: probability that an utterance begins with it, and that it ends with it.
        between: probability of it between two words.
    """

    edge: float = 0.5  # as in Kaldi's lexicons
    between: float = 0.5


PAUSES = Pauses()


@dataclass(frozen=True)
class Topology:
    """The phones and their states.

    Attributes:
        phones: names; number 0 is silence.
        num_states: states of a phone, >= 1.
        num_silence_states: states of silence, >= 1.
        pauses: how likely silence is around words.
    """

    phones: tuple[str, ...]
    num_states: int = 3
    num_silence_states: int = 3
    pauses: Pauses = PAUSES

    @classmethod
    def of(
        cls, phones: Iterable[str], num_states: int = 3, num_silence_states: int = 3, pauses: Pauses = PAUSES
    ) -> Topology:
        """Return the topology of a lexicon's phones, silence put first."""
        names = (SILENCE, *sorted(set(phones) - {SILENCE}))
        return cls(names, num_states, num_silence_states, pauses)

    def states_of(self, phone: int) -> int:
        """Return how many states a phone has."""
        return self.num_states if phone else self.num_silence_states

    @property
    def max_states(self) -> int:
        """The states of the phone that has most."""
        return max(self.num_states, self.num_silence_states)


@dataclass(frozen=True)
class Transitions:
    """Probability of each tied state to be followed by itself.

    Attributes:
        stay: (P,) float64, each inside (0, 1).
    """

    stay: Tensor

    @classmethod
    def initial(cls, num_pdfs: int) -> Transitions:
        """Return the transitions training begins with."""
        return cls(torch.full((num_pdfs,), _INITIAL_STAY, dtype=torch.float64))

    def counts(self, pdfs: Tensor, stays: Tensor) -> Tensor:
        """Return how many frames (2, P) float64 are in each tied state, and are followed by one in the same state.

        Args:
            pdfs: (N,) int64, the tied state of each frame.
            stays: (N,) bool, whether the next frame is in the same state.
        """
        size = len(self.stay)
        stayed = torch.bincount(pdfs, weights=stays.double(), minlength=size)
        return torch.stack([torch.bincount(pdfs, minlength=size).double(), stayed])

    def updated_by(self, counts: Tensor) -> Transitions:
        """Return the transitions that ``counts`` make most likely.

        No probability is below 0.01; a state that fewer than five frames are in keeps what it had.

        Source: Kaldi, src/hmm/transition-model.cc (MleUpdate).
        """
        count, stayed = counts
        share = (stayed / count.clamp(min=1.0)).clamp(_FLOOR, 1 - _FLOOR)
        return Transitions(torch.where(count >= _MIN_COUNT, share, self.stay))
