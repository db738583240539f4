"""Readings scored again with a neural language model.

Each reading's score becomes old score + weight * natural-log probability of its text + bonus * words.

Source: Mikolov et al. 2010, section 3 (n-best rescoring with a recurrent network).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.config import ranged
from asr_ligru.errors import ConfigError
from asr_ligru.lm.model import NeuralLm, read_lm
from asr_ligru.safety import printable
from asr_ligru.text.units import words_of


@dataclass(frozen=True)
class RescoreSettings:
    """What a neural language model counts for beside the search that found the readings."""

    rescore_weight: float = ranged(0.3, 0.0, 100.0)  # on its natural-log probabilities
    rescore_bonus: float = ranged(0.0, -100.0, 100.0)  # added for each word


class LmRescorer:
    """Scores the readings of an utterance, all of them in one pass of the network.

    Args:
        lm: the language model.
        settings: what it counts for.
    """

    def __init__(self, lm: NeuralLm, settings: RescoreSettings) -> None:
        self._lm, self._settings = lm, settings

    def __call__(self, texts: Sequence[str]) -> list[float]:
        """Return what is added to the score of each reading."""
        return added(texts, self._lm.log_probs(texts), self._settings)


def added(texts: Sequence[str], log_probs: Sequence[float], settings: RescoreSettings) -> list[float]:
    """Return what is added to the score of each reading.

    Args:
        texts: the readings.
        log_probs: of each, natural log, from the language model.
        settings: what it counts for.
    """
    pairs = zip(texts, log_probs, strict=True)
    return [settings.rescore_weight * lp + settings.rescore_bonus * len(words_of(text)) for text, lp in pairs]


def load_rescorer(path: Path, vocabulary: Sequence[str]) -> NeuralLm:
    """Read a neural language model for the readings of a decoder.

    Args:
        path: its folder, or that of its training.
        vocabulary: characters or words that readings are made of.

    Raises:
        ConfigError: it can spell none of them.
        DataError: no such model.
    """
    lm, _ = read_lm(path)
    words = [word for word in vocabulary if word.strip()]
    if words and all(lm.tokenizer.unknown_in(word) for word in words):
        raise ConfigError(
            f"the language model can spell none of what is recognised, such as {printable(', '.join(words[:3]))}",
            where=printable(str(path)),
            fix="train it on texts in the model's spelling: asr-ligru lm train TEXT --neural --profile upper",
        )
    return lm
