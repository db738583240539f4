"""The weights of a beam search."""

from __future__ import annotations

from dataclasses import dataclass

from asr_ligru.config import ranged


@dataclass(frozen=True)
class BeamSettings:
    """What a beam search weighs and how far it looks; scores are natural logarithms."""

    lm_weight: float = ranged(0.5, 0.0, 100.0)  # on the language model's log probabilities
    word_bonus: float = ranged(1.0, -100.0, 100.0)  # added for each word
    unknown_penalty: float = ranged(10.0, 0.0, 1000.0)  # taken for each word that the language model does not have
    hot_word_bonus: float = ranged(5.0, -100.0, 100.0)  # added for each hot word
    beam_size: int = ranged(32, 1, 10_000)  # readings kept at each frame
    beam_threshold: float = ranged(10.0, 0.0, 1000.0)  # how far behind the best a reading may be
    token_threshold: float = ranged(5.0, 0.0, 1000.0)  # a token is tried where its probability is above exp(-it)
