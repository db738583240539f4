"""A language model over two letters with random parameters."""

from __future__ import annotations

import torch

from asr_ligru.compose import compose
from asr_ligru.config import TokensConfig
from asr_ligru.lm.model import NeuralLm
from asr_ligru.lm.network import LmNetwork
from asr_ligru.lm.settings import LmConfig, lm_config
from asr_ligru.text.tokenizer import build_tokenizer
from tests.nn.encoder_case import perturb

TOKENIZER = build_tokenizer(TokensConfig(unknown="unk"), ["ab"])  # boundary, <unk>, a, b


def settings(cell: str = "ligru", **given: object) -> LmConfig:
    return lm_config(compose([f"cell={cell}"]).cell, {"hidden_size": 6, "embedding_size": 5, **given})


def tiny_lm(cell: str = "ligru", **given: object) -> NeuralLm:
    """Return the same model each time, in evaluation mode."""
    config = settings(cell, **given)
    torch.manual_seed(0)
    network = LmNetwork(TOKENIZER.vocab_size, config)
    perturb(network)
    with torch.no_grad():
        network.head.weight *= 3.0  # far from uniform
        network.head.bias[0] = 0.5  # sentences end soon
    return NeuralLm(config, network.eval(), TOKENIZER)
