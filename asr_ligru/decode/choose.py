"""Decoders by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.result import Decoder
from asr_ligru.errors import ConfigError
from asr_ligru.models.load import LoadedModel
from asr_ligru.registry import Registry


@dataclass(frozen=True)
class Knowledge:
    """What a decoder may know besides the model.

    Attributes:
        lm: an n-gram language model in ARPA format.
        lexicon: words and how they are spelled in the model's tokens.
    """

    lm: Path | None = None
    lexicon: Path | None = None


DECODERS: Registry[Callable[[LoadedModel, Knowledge], Decoder]] = Registry("decoder")


@DECODERS.register("greedy")
def _greedy(model: LoadedModel, knowledge: Knowledge) -> Decoder:
    if knowledge != Knowledge():
        raise ConfigError("greedy decoding uses no language model and no lexicon", fix="--decoder beam, or wfst")
    return GreedyDecoder(model.tokenizer, model.temperature)


def make_decoder(model: LoadedModel, name: str = "greedy", knowledge: Knowledge | None = None) -> Decoder:
    """Return the decoder called ``name`` for a model.

    Args:
        model: whose output it reads.
        name: an entry of ``DECODERS``.
        knowledge: a language model, a lexicon.

    Raises:
        ConfigError: no such decoder, or it does not use what it is given.
        EnvironmentError_: the extra that it needs is not installed.
    """
    return DECODERS[name](model, knowledge or Knowledge())
