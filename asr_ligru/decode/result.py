"""What a decoder makes of one utterance, in frames of the model's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A recognised word.

    Attributes:
        text: the word.
        start: first output frame that belongs to it.
        end: the frame after its last one, > start.
        confidence: probability that it is right, in [0, 1].
    """

    text: str
    start: int
    end: int
    confidence: float


class Candidate(NamedTuple):
    """One of several readings of an utterance.

    Attributes:
        text: the words, separated by single spaces; may be empty.
        score: natural-log score; those of one list can be compared.
    """

    text: str
    score: float


MOST_RESCORED = 100  # readings of an utterance that are scored again, the likeliest
Rescorer = Callable[[Sequence[str]], Sequence[float]]  # from an utterance's readings to what their scores gain


@dataclass(frozen=True, slots=True)
class Result:
    """The best reading of one utterance, and the next ones.

    Attributes:
        text: the words, separated by single spaces; may be empty.
        score: natural-log score of the reading, summed over frames; readings of one decoder can be compared.
        words: its words in order.
        n_best: different readings from the best on, this one first; one unless more were asked for.
        complete: False where the decoder found no reading that ends where the audio does; this is the best it found.
    """

    text: str
    score: float
    words: tuple[TimedWord, ...]
    n_best: tuple[Candidate, ...]
    complete: bool = True


class Decoder(Protocol):
    """From log probabilities to words."""

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        """Decode a batch.

        Args:
            log_probs: (B, T', V) natural log; what stands behind an utterance's end means nothing.
            log_prob_lens: (B,) frames.
            n_best: how many readings to return at most, >= 1.

        Returns:
            B results.
        """
        ...
