"""What tuning tries: every combination of some weights and language models, for each kind of search."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.result import Decoder
from asr_ligru.decode.settings import Settings
from asr_ligru.decode.wfst.decoder import SearchOptions, WfstDecoder
from asr_ligru.decode.wfst.make import make_graph, usual_options
from asr_ligru.errors import ConfigError
from asr_ligru.models.load import LoadedModel

Searches = Callable[[Settings], Decoder]  # what searches with given weights

_TEXT_ONLY = 0.1  # lattice beam where other readings do not matter
HYBRID_SCALES = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
CTC_SCALES = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


class Grid(Protocol):
    """What is tried.

    Attributes:
        lms: language models; None for the model's own.
        lexicon: the words that can be recognised; None for all, or the model's own.
    """

    @property
    def lms(self) -> Sequence[Path | None]:
        """Return the language models."""
        ...

    @property
    def lexicon(self) -> Path | None:
        """Return the words."""
        ...

    def settings(self, model: LoadedModel) -> Sequence[Settings]:
        """Return each combination of weights.

        Args:
            model: what is not tried is as it is configured.
        """
        ...

    def searches(self, model: LoadedModel, lm: Path | None, *, n_best: bool = False) -> Searches:
        """Return what makes the decoder of a model with some weights.

        Args:
            model: what is decoded.
            lm: one of ``lms``.
            n_best: whether more than the best reading is wanted.

        Raises:
            ConfigError: the model or the language model cannot be used so.
            DataError: a file is damaged.
            EnvironmentError_: an extra is not installed.
        """
        ...


@dataclass(frozen=True)
class BeamGrid:
    """Of a beam search.

    Attributes:
        lms: ARPA files.
        lm_weights: as ``BeamSettings.lm_weight``.
        word_bonuses: as ``BeamSettings.word_bonus``.
        unknown_penalties: as ``BeamSettings.unknown_penalty``.
        base: everything else.
    """

    lms: tuple[Path, ...]
    lm_weights: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5)
    word_bonuses: tuple[float, ...] = (-2.0, -1.0, 0.0, 1.0, 2.0)
    unknown_penalties: tuple[float, ...] = (10.0,)
    base: BeamSettings = field(default_factory=BeamSettings)
    lexicon: None = None

    def settings(self, model: LoadedModel) -> list[BeamSettings]:
        """Return each combination of weights."""
        weights = itertools.product(self.lm_weights, self.word_bonuses, self.unknown_penalties)
        return [replace(self.base, lm_weight=a, word_bonus=b, unknown_penalty=c) for a, b, c in weights]

    def searches(self, model: LoadedModel, lm: Path | None, *, n_best: bool = False) -> Searches:
        """Return what makes a decoder; see ``Grid.searches``."""
        from asr_ligru.decode.beam.make import check_searchable, load_ngram  # SpeechBrain takes seconds to import
        from asr_ligru.decode.beam.search import BeamDecoder

        check_searchable(model)
        ngram = load_ngram(lm, model.tokenizer) if lm else None

        def make(settings: Settings) -> Decoder:
            assert isinstance(settings, BeamSettings)
            return BeamDecoder(model.tokenizer, settings, ngram)

        return make


@dataclass(frozen=True)
class WfstGrid:
    """Of a search in a graph.

    Attributes:
        lms: ARPA files; None for the model's own.
        acoustic_scales: as ``SearchOptions.acoustic_scale``; none for those that suit the model.
        word_scores: as ``SearchOptions.word_score``.
        blank_penalties: as ``SearchOptions.blank_penalty``.
        lexicon: the words that can be recognised; None as for ``make_wfst_decoder``.
    """

    lms: tuple[Path | None, ...] = (None,)
    acoustic_scales: tuple[float, ...] = ()
    word_scores: tuple[float, ...] = (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0)
    blank_penalties: tuple[float, ...] = (0.0,)
    lexicon: Path | None = None

    def settings(self, model: LoadedModel) -> list[SearchOptions]:
        """Return each combination of weights; the beams are as the model is configured.

        Raises:
            ConfigError: penalties for the blank of a model that has none.
        """
        if model.hmm and any(self.blank_penalties):
            raise ConfigError("a hybrid model has no blank to take a penalty from", fix="leave out --blank-penalties")
        scales = self.acoustic_scales or (HYBRID_SCALES if model.hmm else CTC_SCALES)
        base = usual_options(model)
        weights = itertools.product(scales, self.word_scores, self.blank_penalties)
        return [replace(base, acoustic_scale=a, word_score=b, blank_penalty=c) for a, b, c in weights]

    def searches(self, model: LoadedModel, lm: Path | None, *, n_best: bool = False) -> Searches:
        """Return what makes a decoder; see ``Grid.searches``."""
        graph = make_graph(model, lm, self.lexicon)
        priors = model.hmm.states.log_priors if model.hmm else None

        def make(settings: Settings) -> Decoder:
            assert isinstance(settings, SearchOptions)
            kept = settings if n_best else replace(settings, lattice_beam=_TEXT_ONLY)
            return WfstDecoder(graph, kept, priors, compared=1)

        return make
