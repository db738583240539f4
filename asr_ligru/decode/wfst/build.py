"""Graphs from lexica, language models, and the tokens or tied states of a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from asr_ligru.decode.wfst.ctc import token_topology
from asr_ligru.decode.wfst.fst import Fst, compact, compose, without
from asr_ligru.decode.wfst.grammar import grammar, restrict
from asr_ligru.decode.wfst.graph import DecodingGraph
from asr_ligru.decode.wfst.hmm import states_of, with_self_loops
from asr_ligru.decode.wfst.lexicon import Silence, Spelling, Units, silence_lexicon, spelled_lexicon
from asr_ligru.decode.wfst.size import check_size
from asr_ligru.errors import DataError
from asr_ligru.hmm.graph import SIL
from asr_ligru.hmm.search import TRANSITION_SCALE
from asr_ligru.hmm.topology import Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.safety import printable
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.ngram import NgramModel
from asr_ligru.text.phones import BOUNDARY, PhoneTokenizer
from asr_ligru.text.units import Tokenizer

_LISTED = 20
_Spellings = Mapping[str, Sequence[tuple[int, ...]]]

_log = logging.getLogger(__name__)


def ctc_graph(tokenizer: Tokenizer, model: NgramModel, lexicon: Lexicon | None = None) -> DecodingGraph:
    """Return the graph of a CTC model.

    Args:
        tokenizer: spells the words; one of phones takes ``lexicon``'s pronunciations.
        model: the language model.
        lexicon: the words that can be recognised; None for all that the tokenizer can spell.

    Raises:
        DataError: a word without units, phones that are no tokens, or no word in both lexicon and language model.
        EnvironmentError_: the extra is not installed, or the graph is too large for this machine.
    """
    spelled = _spell(tokenizer, sorted(model.vocabulary) if lexicon is None else lexicon)
    words, model, left_out = _shared(spelled, model)
    size, boundary = tokenizer.vocab_size, _boundary(tokenizer, words[0])
    units = Units(size - 1)
    spellings = _numbered(spelled, words)
    check_size(model, spellings, states_a_unit=2)
    g, backoff = grammar(model, words)
    lg = without(compact(compose(spelled_lexicon(spellings, units, backoff, boundary).vector(), g)), units.backoff)
    used = {unit for _, unit_ids in spellings for unit in unit_ids} | ({boundary} if boundary else set())
    topology = token_topology(size, sorted(used), units)
    fst = Fst.read(compose(topology.vector(), lg.vector(), filter="alt_sequence"))
    tokens = np.tile(np.arange(size), 2)
    heard = (tokens != 0) & (tokens != boundary)
    return DecodingGraph(fst, tokens, np.arange(2 * size) >= size, heard, tuple(words), size, left_out)


def hmm_graph(
    tree: ContextTree, transitions: Transitions, model: NgramModel, lexicon: Lexicon, scale: float = TRANSITION_SCALE
) -> DecodingGraph:
    """Return the graph of an HMM, silence or none around each word.

    Args:
        tree: the tied states.
        transitions: of them.
        model: the language model.
        lexicon: pronunciations in the tree's phones.
        scale: factor on the log-probabilities of transitions.

    Raises:
        DataError: a word without phones, phones that the tree does not have, or no word in both lexicon and model.
        EnvironmentError_: the extra is not installed, or the graph is too large for this machine.
    """
    topology = tree.topology
    numbers = {phone: i for i, phone in enumerate(topology.phones, start=1)}
    spelled = _pronounce(lexicon, numbers)
    words, model, left_out = _shared(spelled, model)
    units = Units(len(numbers))
    spellings = _numbered(spelled, words)
    check_size(model, spellings, states_a_unit=2 * topology.num_states)
    g, backoff = grammar(model, words)
    lex = silence_lexicon(spellings, units, backoff, Silence(1 + SIL, topology.pauses.edge, topology.pauses.between))
    lg = compact(compose(lex.vector(), g))
    hclg, labels = states_of(lg, tree, units)
    fst = with_self_loops(without(compact(hclg), labels.marks), labels, transitions, scale)
    first = np.array([state.first for state in labels.states])
    heard = first | np.array([state.phone != SIL for state in labels.states])
    return DecodingGraph(fst, labels.pdfs, first, heard, tuple(words), tree.num_pdfs, left_out)


def _spell(tokenizer: Tokenizer, words: Lexicon | Sequence[str]) -> _Spellings:
    """Return the tokens of each word that the tokenizer can spell; the others are reported."""
    if isinstance(tokenizer, PhoneTokenizer):
        known = tokenizer.lexicon if not isinstance(words, Lexicon) else words
        return _pronounce(known, {phone: i for i, phone in enumerate(tokenizer.tokens)})
    listed = dict.fromkeys(word for word, _ in words) if isinstance(words, Lexicon) else words
    spelled = {word: [tuple(tokenizer.encode(word))] for word in listed if not tokenizer.unknown_in(word)}
    _report([word for word in listed if word not in spelled], "of the lexicon cannot be spelled in the model's tokens")
    return spelled


def _pronounce(lexicon: Lexicon, numbers: Mapping[str, int]) -> _Spellings:
    strange = sorted({*lexicon.phones} - {*numbers})
    if strange:
        what = f"the lexicon has {len(strange)} phones that the model does not have: {printable(' '.join(strange))}"
        raise DataError(what, fix="use the lexicon the model was trained with, or another in the same phones")
    return {
        word: [tuple(numbers[phone] for phone in phones) for phones in lexicon.pronunciations(word)]
        for word in dict.fromkeys(word for word, _ in lexicon)
    }


def _shared(spelled: _Spellings, model: NgramModel) -> tuple[list[str], NgramModel, dict[str, int]]:
    """Return the words that can be recognised, their language model, and what was left out of it."""
    empty = [word for word, spellings in spelled.items() if not all(spellings)]
    if empty:
        raise DataError(f"'{printable(empty[0])}' has an empty pronunciation", fix="correct the lexicon")
    words = [word for word in spelled if word in model]
    if not words:
        fix = "check that both are in the same case and language"
        raise DataError("no word of the lexicon is in the language model", fix=fix)
    restricted, lost = restrict(model, words)
    _report([f"{word} ({n})" for word, n in lost.most_common()], "of the language model (n-grams) cannot be recognised")
    _report([word for word in spelled if word not in model], "of the lexicon are not in the language model")
    return words, restricted, dict(lost.most_common())


def _report(words: Sequence[str], what: str) -> None:
    if words:
        more = f", and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
        _log.warning("%d words %s: %s%s", len(words), what, printable(", ".join(words[:_LISTED])), more)


def _numbered(spelled: _Spellings, words: Sequence[str]) -> list[Spelling]:
    return [(number, units) for number, word in enumerate(words, start=1) for units in dict.fromkeys(spelled[word])]


def _boundary(tokenizer: Tokenizer, word: str) -> int | None:
    """Return the token that stands between two words, None where there is none."""
    if isinstance(tokenizer, PhoneTokenizer):
        return tokenizer.tokens.index(BOUNDARY)
    alone = len(tokenizer.encode(word))
    between = tokenizer.encode(f"{word} {word}")[alone:-alone]
    return between[0] if between else None
