"""From a configuration to an untrained model."""

from __future__ import annotations

from asr_ligru.config import Config
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.models.ctc import CtcModel
from asr_ligru.models.hybrid import HybridModel

Model = CtcModel | HybridModel


def build_model(config: Config, num_features: int, vocab_size: int, hmm: HybridHmm | None = None) -> Model:
    """Return the configured model with fresh parameters from torch's generator.

    Args:
        config: ``model`` and ``cell`` are used.
        num_features: F of the features.
        vocab_size: V of the tokenizer, with the blank.
        hmm: of a hybrid model.
    """
    if hmm is None:
        return CtcModel(num_features, vocab_size, config.cell, config.model)
    return HybridModel(num_features, hmm.num_states, hmm.num_phones, vocab_size, config.cell, config.model)


def token_model(network: HybridModel, config: Config) -> CtcModel:
    """Return the CTC model that a hybrid model with a CTC head has in it. Both share their parameters.

    Args:
        network: with a CTC head.
        config: of the CTC model.
    """
    assert network.ctc_head is not None
    ctc = CtcModel(1, network.ctc_head.out_features, config.cell, config.model)
    ctc.encoder, ctc.head = network.encoder, network.ctc_head
    return ctc.train(network.training)
