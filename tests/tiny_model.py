"""A small model with random parameters: it says something else for each tone, at once and without training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from asr_ligru.config import CellConfig, Config, CorpusConfig, FeaturesConfig, ModelConfig, TokensConfig, as_dict
from asr_ligru.models.build import build_model
from asr_ligru.models.ctc import CtcModel
from asr_ligru.models.folder import write_model_folder
from asr_ligru.text.tokenizer import build_tokenizer
from tests.hmm.hybrid_case import tiny_hmm
from tests.nn.encoder_case import perturb
from tests.tiny_corpus import PITCH_HZ, SAMPLE_RATE_HZ

NUM_BINS = 12
CONFIG = Config(
    cell=CellConfig(hidden_size=8, num_layers=2),
    model=ModelConfig(stack_frames=2),
    features=FeaturesConfig(sample_rate_hz=SAMPLE_RATE_HZ, num_bins=NUM_BINS),
    corpus=CorpusConfig(max_seconds=30.0),
)
JOINT = replace(CONFIG, model=ModelConfig(name="hybrid", stack_frames=2, ctc_weight=0.3, inter_ctc_layers=(1,)))
TOKENIZER = build_tokenizer(TokensConfig(), [" ".join(PITCH_HZ)], None)


def network(config: Config = CONFIG) -> CtcModel:
    """Return the same network each time, in evaluation mode."""
    torch.manual_seed(0)
    built = build_model(config, NUM_BINS, TOKENIZER.vocab_size)
    perturb(built)
    with torch.no_grad():
        built.head.weight *= 3.0  # outputs clear of ties
    return built.eval()


def write_model(folder: Path, config: Config = CONFIG, **parts: Any) -> Path:
    """Write the network as a model folder; ``parts`` replace what is written."""
    written = {
        "tensors": network(config).state_dict(),
        "meta": {"config": as_dict(config), "num_features": NUM_BINS},
        "tokenizer": TOKENIZER,
        "frontend_tensors": {},
    }
    return write_model_folder(folder, **{**written, **parts})


def write_joint_model(folder: Path, config: Config = JOINT) -> Path:
    """Write a hybrid model with random states; its CTC head says what the network of ``write_model`` says."""
    torch.manual_seed(1)
    hybrid = build_model(config, NUM_BINS, TOKENIZER.vocab_size, tiny_hmm())
    of_ctc = {name.replace("head.", "ctc_head."): tensor for name, tensor in network().state_dict().items()}
    tensors = {name: of_ctc.get(name, tensor) for name, tensor in hybrid.state_dict().items()}
    meta = {"config": as_dict(config), "num_features": NUM_BINS, "temperature": 3.0}
    return write_model(folder, config, tensors=tensors, meta=meta, hmm=tiny_hmm())
