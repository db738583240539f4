"""Readings scored again with a neural language model.

Each reading's score becomes old score + weight * natural-log probability of its text + bonus * words.

Source: Mikolov et al. 2010, section 3 (n-best rescoring with a recurrent network).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.config import build, ranged
from asr_ligru.errors import ConfigError
from asr_ligru.lm.model import NeuralLm, read_lm
from asr_ligru.models.load import LoadedModel
from asr_ligru.safety import printable
from asr_ligru.text.sentences import WORD_START
from asr_ligru.text.units import BLANK, UNK, words_of

AXES = ("rescore_weight", "rescore_bonus")
LABELS = ("weight of the neural language model", "word bonus")


@dataclass(frozen=True)
class RescoreSettings:
    """What a neural language model counts for beside the search that found the readings."""

    rescore_weight: float = ranged(0.3, 0.0, 100.0)  # on its natural-log probabilities
    rescore_bonus: float = ranged(0.0, -100.0, 100.0)  # added for each word


@dataclass(frozen=True)
class Rescoring:
    """A neural language model and what it counts for.

    Attributes:
        lm: its folder, or that of its training.
        settings: the weights.
    """

    lm: Path
    settings: RescoreSettings


@dataclass(frozen=True)
class RescoreGrid:
    """What tuning tries, every combination.

    Attributes:
        lms: folders of neural language models.
        weights: as ``RescoreSettings.rescore_weight``.
        bonuses: as ``RescoreSettings.rescore_bonus``.
    """

    lms: tuple[Path, ...]
    weights: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    bonuses: tuple[float, ...] = (-1.0, 0.0, 1.0)

    def choices(self) -> list[Rescoring]:
        """Return each combination.

        Raises:
            ConfigError: a weight is out of range.
        """
        tried = itertools.product(self.lms, self.weights, self.bonuses)
        return [Rescoring(lm, build(RescoreSettings, dict(zip(AXES, pair, strict=True)))) for lm, *pair in tried]


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


def load_rescorer(path: Path, model: LoadedModel) -> NeuralLm:
    """Read a neural language model for the readings of an acoustic model, onto its device.

    Args:
        path: its folder, or that of its training.
        model: what is decoded.

    Raises:
        ConfigError: it can spell none of the model's characters or words.
        DataError: no such model.
    """
    lm, _ = read_lm(path)
    words = _spelled(model)
    if words and all(lm.tokenizer.unknown_in(word) for word in words):
        raise ConfigError(
            f"the language model can spell none of what is recognised, such as {printable(', '.join(words[:3]))}",
            where=printable(str(path)),
            fix="train it on texts in the model's spelling: asr-ligru lm train TEXT --neural --profile upper",
        )
    lm.network.to(next(model.network.parameters()).device)
    return lm


def _spelled(model: LoadedModel) -> list[str]:
    """Return the characters, pieces or words that readings are made of; none where they are not known."""
    if model.hmm is not None:
        return [word for word, _ in model.hmm.vocabulary.lexicon]
    if model.tokenizer.kind == "phone":
        return []
    pieces = (token.replace(WORD_START, "").strip() for token in model.tokenizer.tokens if token not in (BLANK, UNK))
    return [piece for piece in pieces if piece]
