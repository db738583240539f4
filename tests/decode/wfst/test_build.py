from __future__ import annotations

import random
import sys

import pytest

from asr_ligru.decode.wfst import size
from asr_ligru.decode.wfst.build import ctc_graph, hmm_graph
from asr_ligru.decode.wfst.fst import Fst
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.hmm.topology import Topology, Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.units import BLANK, CharTokenizer
from tests.decode.wfst.cases import language_model

pytest.importorskip("kaldifst")
TOKENIZER = CharTokenizer([BLANK, " ", "A", "B"], "error")
MODEL = language_model(random.Random(0), ["AB", "BA", "X"], 2)
TREE = ContextTree.monophone(Topology.of(["P", "Q"]))
TRANSITIONS = Transitions.initial(TREE.num_pdfs)


def test_ctc_graph_words_that_cannot_be_recognised_are_listed_with_counts(caplog: pytest.LogCaptureFixture) -> None:
    graph = ctc_graph(TOKENIZER, MODEL, Lexicon({"AB": [("P",)], "C": [("P",)], "BAA": [("P",)]}))
    grams = [gram for order in MODEL.orders for gram in order]
    assert graph.words == ("AB",)
    assert graph.left_out == {word: sum(word in gram for gram in grams) for word in ("BA", "X")}
    for part in (f"BA ({graph.left_out['BA']})", "cannot be spelled", "not in the language model: BAA"):
        assert part in caplog.text


def test_graph_without_a_common_word_is_refused() -> None:
    with pytest.raises(DataError, match="no word of the lexicon"):
        ctc_graph(TOKENIZER, MODEL, Lexicon({"ab": [("P",)]}))


def test_hmm_graph_word_without_phones_is_refused() -> None:
    with pytest.raises(DataError, match="'AB' has an empty pronunciation"):
        hmm_graph(TREE, TRANSITIONS, MODEL, Lexicon({"AB": [()]}))


def test_hmm_graph_phones_of_another_model_are_refused() -> None:
    with pytest.raises(DataError, match="2 phones that the model does not have: R S"):
        hmm_graph(TREE, TRANSITIONS, MODEL, Lexicon({"AB": [("P", "R", "S")]}))


def test_graph_word_with_a_meaning_of_its_own_is_refused() -> None:
    model = language_model(random.Random(0), ["#0"], 1)
    with pytest.raises(DataError, match="'#0'"):
        hmm_graph(TREE, TRANSITIONS, model, Lexicon({"#0": [("P",)]}))


def test_graph_too_large_for_the_memory_says_how_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "free_bytes", lambda: 100)
    with pytest.raises(EnvironmentError_, match=r"n-grams needs about .* of memory, .* are free"):
        ctc_graph(TOKENIZER, MODEL)


def test_free_bytes_is_less_than_all_there_is() -> None:
    assert 0 < size.free_bytes() < 1 << 50


def test_graph_without_the_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaldifst", None)
    monkeypatch.setitem(sys.modules, "kaldilm", None)
    with pytest.raises(EnvironmentError_, match="not installed") as caught:
        ctc_graph(TOKENIZER, MODEL)
    assert caught.value.fix == 'pip install "asr-ligru[wfst]"'


def test_fst_through_kaldifst_and_back_is_the_same() -> None:
    fst = Fst.of([(0, 1, 3, 4, 0.5), (1, 1, 0, 0, 0.25), (0, 2, 1, 0, 1 / 3)], {1: 0.75, 2: 0.0}, 3)
    back = Fst.read(fst.vector())
    for name in ("sources", "targets", "ilabels", "olabels", "costs", "final"):
        assert (getattr(fst, name) == getattr(back, name)).all()
    assert [line.split() for line in str(fst.vector()).splitlines()][:2] == [
        ["0", "1", "3", "4", "0.5"],
        "0 2 1 0 0.333333".split(),
    ]
