"""From a configuration to an untrained model."""

from __future__ import annotations

from asr_ligru.config import Config
from asr_ligru.models.ctc import CtcModel


def build_model(config: Config, num_features: int, vocab_size: int) -> CtcModel:
    """Return the configured model with fresh parameters from torch's generator.

    Args:
        config: ``model`` and ``cell`` are used.
        num_features: F of the features.
        vocab_size: V of the tokenizer, with the blank.
    """
    return CtcModel(num_features, vocab_size, config.cell, config.model)
