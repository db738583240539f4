"""Decoders by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.result import Decoder
from asr_ligru.decode.wfst.make import make_wfst_decoder
from asr_ligru.decode.words import WordDecoder
from asr_ligru.errors import ConfigError
from asr_ligru.hmm.decode_words import SearchOptions
from asr_ligru.models.load import LoadedModel
from asr_ligru.registry import Registry
from asr_ligru.text.arpa import read_arpa


@dataclass(frozen=True)
class Knowledge:
    """What a decoder may know besides the model.

    Attributes:
        lm: an n-gram language model in ARPA format.
        lexicon: words and how they are spelled in the model's tokens.
        settings: weights that ``asr-ligru tune`` wrote; they bring their language model.
        hot_words: words to favour.
    """

    lm: Path | None = None
    lexicon: Path | None = None
    settings: Path | None = None
    hot_words: tuple[str, ...] = ()


DECODERS: Registry[Callable[[LoadedModel, Knowledge], Decoder]] = Registry("decoder")


@DECODERS.register("greedy")
def _greedy(model: LoadedModel, knowledge: Knowledge) -> Decoder:
    if knowledge != Knowledge():
        raise ConfigError(
            "greedy decoding uses no language model, lexicon, weights or hot words", fix="--decoder beam, or wfst"
        )
    if model.hmm is not None:
        raise ConfigError("greedy decoding reads tokens, a hybrid model gives states", fix="--decoder words, or wfst")
    return GreedyDecoder(model.tokenizer, model.temperature)


@DECODERS.register("words")
def _words(model: LoadedModel, knowledge: Knowledge) -> Decoder:
    hmm = model.hmm
    if hmm is None:
        raise ConfigError("--decoder words is for hybrid models", fix="--decoder greedy, beam or wfst")
    if knowledge != Knowledge(lm=knowledge.lm):
        raise ConfigError("--decoder words has the lexicon of the model, and no weights", fix="--decoder wfst")
    if knowledge.lm is not None:
        hmm = hmm.with_lm(read_arpa(knowledge.lm))
    weights = model.config.decode
    return WordDecoder(hmm, SearchOptions(weights.acoustic_scale, weights.word_score), model.temperature)


@DECODERS.register("beam")
def _beam(model: LoadedModel, knowledge: Knowledge) -> Decoder:
    from asr_ligru.decode.beam.make import make_beam_decoder  # SpeechBrain takes seconds to import

    if knowledge.lexicon:
        raise ConfigError("beam search spells words freely and uses no lexicon", fix="--decoder wfst")
    return make_beam_decoder(model, knowledge.lm, knowledge.settings, knowledge.hot_words)


@DECODERS.register("wfst")
def _wfst(model: LoadedModel, knowledge: Knowledge) -> Decoder:
    if knowledge != Knowledge(lm=knowledge.lm, lexicon=knowledge.lexicon):
        raise ConfigError("--decoder wfst uses no hot words and no weights of beam", fix="--decoder beam")
    return make_wfst_decoder(model, knowledge.lm, knowledge.lexicon)


def make_decoder(model: LoadedModel, name: str | None = None, knowledge: Knowledge | None = None) -> Decoder:
    """Return the decoder called ``name`` for a model.

    Args:
        model: whose output it reads.
        name: an entry of ``DECODERS``; None for wfst where the model was configured so, words of a hybrid model, beam
            with settings, and greedy.
        knowledge: a language model, a lexicon.

    Raises:
        ConfigError: no such decoder, or it does not use what it is given.
        EnvironmentError_: the extra that it needs is not installed.
    """
    known = knowledge or Knowledge()
    searched = model.config.decode.name == "wfst" and not known.settings
    usual = "wfst" if searched else "words" if model.hmm else "beam" if known.settings else "greedy"
    return DECODERS[name or usual](model, known)
