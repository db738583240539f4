"""The decoder of a loaded model, from the files a user names."""

from __future__ import annotations

import json
from pathlib import Path

from asr_ligru.decode.result import Rescorer
from asr_ligru.decode.wfst.build import ctc_graph, hmm_graph
from asr_ligru.decode.wfst.cache import cached_graph, default_cache, graph_key
from asr_ligru.decode.wfst.decoder import SearchOptions, WfstDecoder
from asr_ligru.decode.wfst.graph import DecodingGraph
from asr_ligru.decode.wfst.libraries import kaldi_decoder, kaldilm
from asr_ligru.errors import ConfigError
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.hmm.store import topology_json
from asr_ligru.models.load import LoadedModel
from asr_ligru.models.tensors import pack
from asr_ligru.safety.files import sha256_file
from asr_ligru.text.arpa import arpa_lines, read_arpa
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.units import Tokenizer

_CTC_SCALE = 2.0  # of models not configured for decode=wfst; the fewest errors of 14 models of AN4 in development


def make_wfst_decoder(
    model: LoadedModel,
    lm: Path | None = None,
    lexicon: Path | None = None,
    options: SearchOptions | None = None,
    cache: Path | None = None,
    rescorer: Rescorer | None = None,
) -> WfstDecoder:
    """Return a decoder that searches a graph of lexicon and language model.

    Args:
        model: of CTC or hybrid.
        lm: an ARPA file of any order; by default ``decode.lm`` of the model's configuration, and a hybrid model's own.
        lexicon: the words, with phones where the model's units are phones; by default ``decode.lexicon``, a hybrid
            model's own, or all words of the language model that the tokenizer can spell.
        options: what is weighed; by default as the model is configured.
        cache: where graphs are kept; by default ``default_cache()``.
        rescorer: what adds to the scores of the readings found; None for nothing.

    Raises:
        ConfigError: no language model for a CTC model.
        DataError: a file is damaged, or they do not fit together.
        EnvironmentError_: the extra ``wfst`` is not installed, or the graph is too large for this machine.
    """
    graph = make_graph(model, lm, lexicon, cache)
    priors = model.hmm.states.log_priors if model.hmm else None
    return WfstDecoder(graph, options or usual_options(model), priors, model.temperature, rescorer)


def usual_options(model: LoadedModel) -> SearchOptions:
    """Return what a search of a model weighs as it is configured."""
    settings = model.config.decode
    scale = settings.acoustic_scale if model.hmm or settings.name == "wfst" else _CTC_SCALE
    return SearchOptions(scale, settings.word_score, settings.beam, settings.lattice_beam)


def make_graph(
    model: LoadedModel, lm: Path | None = None, lexicon: Path | None = None, cache: Path | None = None
) -> DecodingGraph:
    """Return the graph of a model; for arguments and errors see ``make_wfst_decoder``."""
    kaldi_decoder(), kaldilm()  # before anything takes time
    settings = model.config.decode
    lm, lexicon = lm or _path(settings.lm), lexicon or _path(settings.lexicon)
    words = Lexicon.read(lexicon) if lexicon else None
    folder = cache or default_cache()
    if model.hmm is not None:
        return _hybrid_graph(model.hmm, lm, words, folder)
    if lm is None:
        raise ConfigError("--decoder wfst needs a language model", fix="--lm FILE.arpa")
    return _token_graph(model.tokenizer, lm, words, folder)


def _hybrid_graph(hmm: HybridHmm, lm: Path | None, lexicon: Lexicon | None, folder: Path) -> DecodingGraph:
    states, words = hmm.states, lexicon or hmm.vocabulary.lexicon
    topology = json.dumps(topology_json(states.tree.topology))
    tensors = pack({"tree": states.tree.table, "stay": states.transitions.stay})
    language = _digest(lm) if lm else "\n".join(arpa_lines(hmm.lm))
    key = graph_key(["hmm", topology, tensors, words.text(), language])
    return cached_graph(
        folder, key, lambda: hmm_graph(states.tree, states.transitions, read_arpa(lm) if lm else hmm.lm, words)
    )


def _token_graph(tokenizer: Tokenizer, lm: Path, lexicon: Lexicon | None, folder: Path) -> DecodingGraph:
    spelling = [part for name, raw in sorted(tokenizer.files().items()) for part in (name, raw)]
    key = graph_key(["ctc", *spelling, lexicon.text() if lexicon else "", _digest(lm)])
    return cached_graph(folder, key, lambda: ctc_graph(tokenizer, read_arpa(lm), lexicon))


def _path(name: str) -> Path | None:
    return Path(name) if name else None


def _digest(lm: Path) -> str:
    if not lm.is_file():
        read_arpa(lm)  # says what is wrong
    return sha256_file(lm)
