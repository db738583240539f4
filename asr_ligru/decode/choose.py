"""Decoders by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from asr_ligru.config import build
from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.rescore import LmRescorer, RescoreSettings, load_rescorer
from asr_ligru.decode.result import Decoder, Rescorer
from asr_ligru.decode.settings import SettingsFile, read_settings
from asr_ligru.decode.wfst.decoder import SearchOptions as GraphOptions
from asr_ligru.decode.wfst.make import make_wfst_decoder, usual_options
from asr_ligru.decode.words import WordDecoder
from asr_ligru.errors import ConfigError
from asr_ligru.hmm.decode_words import SearchOptions
from asr_ligru.models.load import LoadedModel
from asr_ligru.registry import Registry
from asr_ligru.safety import printable
from asr_ligru.text.arpa import read_arpa


@dataclass(frozen=True)
class Knowledge:
    """What a decoder may know besides the model.

    Attributes:
        lm: an n-gram language model in ARPA format.
        lexicon: words and how they are spelled in the model's tokens.
        settings: weights that ``asr-ligru tune`` wrote; they bring their language model and lexicon.
        hot_words: words to favour.
        acoustic_scale: in place of that of the settings or the model.
        word_score: the same.
        rescore: a neural language model that scores the readings of beam or wfst again.
        rescore_weight: in place of that of the settings.
        rescore_bonus: the same.
    """

    lm: Path | None = None
    lexicon: Path | None = None
    settings: Path | None = None
    hot_words: tuple[str, ...] = ()
    acoustic_scale: float | None = None
    word_score: float | None = None
    rescore: Path | None = None
    rescore_weight: float | None = None
    rescore_bonus: float | None = None

    @property
    def weights(self) -> dict[str, float]:
        """Return the weights that are named one by one.

        Raises:
            ConfigError: one is out of range.
        """
        return self._given(GraphOptions, "acoustic_scale", "word_score")

    @property
    def rescore_weights(self) -> dict[str, float]:
        """Return what is named one by one of what a neural language model counts for; errors as for ``weights``."""
        return self._given(RescoreSettings, "rescore_weight", "rescore_bonus")

    def _given(self, cls: type[GraphOptions | RescoreSettings], *names: str) -> dict[str, float]:
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        build(cls, given)
        return given


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
    if knowledge != Knowledge(knowledge.lm, acoustic_scale=knowledge.acoustic_scale, word_score=knowledge.word_score):
        what = "--decoder words has the lexicon of the model, takes no file of weights and rescores nothing"
        raise ConfigError(what, fix="--decoder wfst, or --acoustic-scale and --word-score")
    if knowledge.lm is not None:
        hmm = hmm.with_lm(read_arpa(knowledge.lm))
    weights = model.config.decode
    options = replace(SearchOptions(weights.acoustic_scale, weights.word_score), **knowledge.weights)
    return WordDecoder(hmm, options, model.temperature)


@DECODERS.register("beam")
def _beam(model: LoadedModel, knowledge: Knowledge) -> Decoder:
    from asr_ligru.decode.beam.make import make_beam_decoder  # SpeechBrain takes seconds to import

    if knowledge.lexicon or knowledge.weights:
        what = "beam search spells words freely: it uses no lexicon, acoustic scale or word score"
        raise ConfigError(what, fix="--decoder wfst")
    file = _file(knowledge, "beam", SettingsFile(BeamSettings()))
    assert isinstance(file.settings, BeamSettings)
    rescorer = _rescorer(model, knowledge, file)
    return make_beam_decoder(model, knowledge.lm or file.lm, file.settings, knowledge.hot_words, rescorer)


@DECODERS.register("wfst")
def _wfst(model: LoadedModel, knowledge: Knowledge) -> Decoder:
    if knowledge.hot_words:
        raise ConfigError("--decoder wfst uses no hot words", fix="--decoder beam")
    file = _file(knowledge, "wfst", SettingsFile(usual_options(model)))
    assert isinstance(file.settings, GraphOptions)
    options = replace(file.settings, **knowledge.weights)
    lm, lexicon = knowledge.lm or file.lm, knowledge.lexicon or file.lexicon
    return make_wfst_decoder(model, lm, lexicon, options, rescorer=_rescorer(model, knowledge, file))


def _rescorer(model: LoadedModel, knowledge: Knowledge, file: SettingsFile) -> Rescorer | None:
    """Return what scores readings again as the user and the file of weights say, the user first."""
    given, kept = knowledge.rescore_weights, file.rescore
    path = knowledge.rescore or (kept.lm if kept else None)
    if path is None:
        if given:
            raise ConfigError("weights of rescoring without a model that scores", fix="--rescore LM")
        return None
    settings = replace(kept.settings if kept else RescoreSettings(), **given)
    return LmRescorer(load_rescorer(path, model), settings)


def _file(knowledge: Knowledge, decoder: str, usual: SettingsFile) -> SettingsFile:
    """Return the weights a user names, or else the usual ones."""
    if knowledge.settings is None:
        return usual
    file = read_settings(knowledge.settings)
    if file.decoder != decoder:
        what = f"weights of --decoder {file.decoder}, not {decoder}"
        raise ConfigError(what, where=printable(str(knowledge.settings)), fix=f"--decoder {file.decoder}")
    return file


def as_read_by(model: LoadedModel, name: str | None = None, knowledge: Knowledge | None = None) -> LoadedModel:
    """Return a model as the decoder called ``name`` reads it: one of tokens reads the CTC head of a hybrid model.

    Args:
        model: any; one without a choice of heads is returned as it is.
        name: as of ``make_decoder``.
        knowledge: as of ``make_decoder``.
    """
    of_tokens = _name_of(model, name, knowledge or Knowledge()) in ("greedy", "beam")
    return model.by_tokens() if of_tokens and model.has_two_readings else model


def make_decoder(model: LoadedModel, name: str | None = None, knowledge: Knowledge | None = None) -> Decoder:
    """Return the decoder called ``name`` for a model.

    Args:
        model: whose output it reads; see ``as_read_by``.
        name: an entry of ``DECODERS``; None for that of the settings, else wfst where the model was configured so,
            words of a hybrid model, and greedy; with rescoring wfst of a hybrid model, and beam.
        knowledge: a language model, a lexicon, weights.

    Raises:
        ConfigError: no such decoder, or it does not use what it is given.
        EnvironmentError_: the extra that it needs is not installed.
    """
    known = knowledge or Knowledge()
    return DECODERS[_name_of(model, name, known)](model, known)


def _name_of(model: LoadedModel, name: str | None, known: Knowledge) -> str:
    if name is None and known.settings:
        name = read_settings(known.settings).decoder
    usual = "wfst" if model.config.decode.name == "wfst" else "words" if model.hmm else "greedy"
    if known.rescore:
        usual = "wfst" if usual == "wfst" or model.hmm else "beam"
    return name or usual
