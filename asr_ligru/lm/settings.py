"""Everything a neural language model is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from asr_ligru.config import CellConfig, TokensConfig, TrainConfig, as_dict, build, choice, ranged


@dataclass(frozen=True)
class LmConfig:
    """A network with its tokens, and how it is trained."""

    cell: CellConfig  # in one direction
    units: str = choice("char", "bpe")
    vocab_size: int = ranged(100, 4, 65536)  # bpe only
    embedding_size: int = ranged(64, 1, 16384)
    dropout: float = ranged(0.5, 0.0, 0.95)  # below and above the recurrence
    epochs: int = ranged(60, 1, 100_000)
    early_stopping: int = ranged(6, 1, 100_000)  # epochs without a lower development loss
    lr: float = ranged(4e-3, 1e-9, 10.0)  # halved after two epochs without a lower development loss
    max_grad_norm: float = ranged(1.0, 1e-6)
    batch_size: int = ranged(32, 1, 100_000)  # sentences
    batch_tokens: int = ranged(4000, 1)  # with padding
    held_out: float = ranged(0.1, 1e-6, 0.9)  # share of the sentences taken for development where none are given
    seed: int = ranged(1, 0, 2**32 - 1)

    @property
    def tokens(self) -> TokensConfig:
        """How texts become tokens; what is unknown is one of them."""
        return TokensConfig(self.units, self.vocab_size, "unk")

    @property
    def training(self) -> TrainConfig:
        """What the optimiser and the schedule of acoustic models read."""
        return TrainConfig(schedule="plateau", patience=1, lr=self.lr, newbob_threshold=0.0)


def lm_config(cell: CellConfig, given: dict[str, Any]) -> LmConfig:
    """Return a checked configuration.

    Args:
        cell: what it is called and its own settings; direction, layers and size are not taken from it.
        given: ``hidden_size``, ``num_layers`` and fields of ``LmConfig``; what is missing has its default.

    Raises:
        ConfigError: a value is out of range; all of them are named.
    """
    sizes = {name: given.pop(name) for name in ("hidden_size", "num_layers") if name in given}
    chosen = replace(cell, hidden_size=256, num_layers=1, bidirectional=False, dropout=0.0)
    return build(LmConfig, {"cell": {**as_dict(chosen), **sizes}, **given})
