"""Texts drawn from a language model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.errors import ConfigError
from asr_ligru.lm.model import NeuralLm
from asr_ligru.lm.network import BOUNDARY
from asr_ligru.text.units import UNK


@dataclass(frozen=True)
class Sample:
    """A sentence.

    Attributes:
        ids: its tokens.
        text: its words.
        complete: whether the model ended it; False where the limit did.
    """

    ids: tuple[int, ...]
    text: str
    complete: bool


@torch.inference_mode()
def sample(lm: NeuralLm, count: int, *, seed: int, temperature: float = 1.0, max_tokens: int = 500) -> list[Sample]:
    """Draw sentences. <unk> is never drawn; the others share its probability.

    Args:
        lm: the model.
        count: how many sentences, >= 1.
        seed: the same one gives the same sentences.
        temperature: what log probabilities are divided by, > 0; below 1 the likely becomes likelier.
        max_tokens: where a sentence is cut, >= 1.

    Raises:
        ConfigError: a number out of range.
    """
    if count < 1 or max_tokens < 1 or not 0.0 < temperature < float("inf"):
        what = (
            f"expected a count and a limit from 1 and a temperature above 0, got {count}, {max_tokens}, {temperature}"
        )
        raise ConfigError(what)
    banned = [i for i, token in enumerate(lm.tokenizer.tokens) if token == UNK]
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.full((count,), BOUNDARY)
    going = torch.ones(count, dtype=torch.bool)
    drawn: list[Tensor] = []
    state = None
    for _ in range(max_tokens):
        log_probs, state = lm.network.step(tokens, state)
        log_probs[:, banned] = -torch.inf
        probs = torch.softmax(log_probs.double() / temperature, dim=-1)
        tokens = torch.multinomial(probs, 1, generator=generator)[:, 0].masked_fill(~going, BOUNDARY)
        drawn.append(tokens)
        going &= tokens != BOUNDARY
        if not going.any():
            break
    rows = torch.stack(drawn, dim=1).tolist()
    return [_sample(lm, row, not more) for row, more in zip(rows, going.tolist(), strict=True)]


def _sample(lm: NeuralLm, row: list[int], complete: bool) -> Sample:
    ids = tuple(row[: row.index(BOUNDARY)] if complete else row)
    return Sample(ids, lm.tokenizer.decode(ids), complete)
