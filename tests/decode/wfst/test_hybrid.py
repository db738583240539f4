"""The graph search of hybrid models finds what comparing every path finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from asr_ligru.decode.wfst.build import hmm_graph
from asr_ligru.decode.wfst.decoder import SearchOptions as GraphOptions
from asr_ligru.decode.wfst.decoder import WfstDecoder
from asr_ligru.decode.words import WordDecoder
from asr_ligru.errors import ConfigError
from asr_ligru.hmm.decode_words import SearchOptions, Unigram
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.text.ngram import NgramModel
from tests.hmm.hybrid_case import path_of, sure_of, tiny_hmm

pytest.importorskip("kaldi_decoder")


def search(hmm: HybridHmm, acoustic_scale: float, word_score: float) -> WfstDecoder:
    graph = hmm_graph(hmm.states.tree, hmm.states.transitions, hmm.lm, hmm.vocabulary.lexicon)
    return WfstDecoder(graph, GraphOptions(acoustic_scale, word_score, 30.0), hmm.states.log_priors)


@pytest.mark.parametrize("seed", range(5))
def test_hybrid_search_finds_the_words_of_every_path_compared(seed: int) -> None:
    hmm = tiny_hmm().with_priors([torch.tensor([0, 0, 1, 5, 5, 5])])
    rng = torch.Generator().manual_seed(seed)
    log_probs = (2.0 * torch.randn(3, 30, 12, generator=rng)).log_softmax(-1)
    lens = torch.tensor([30, 21, 9])
    found = search(hmm, 0.5, -1.0)(log_probs, lens)
    expected = WordDecoder(hmm, SearchOptions(0.5, -1.0))(log_probs, lens)
    assert [result.text for result in found] == [result.text for result in expected]
    assert any(result.text for result in found)


def test_hybrid_search_takes_pairs_of_words_into_account() -> None:
    hmm = tiny_hmm()
    unigram = Unigram.of(["go no"], ("go", "no")).model()
    pairs = {
        ("<s>", "no"): (-0.01, 0.0),
        ("no", "go"): (-0.01, 0.0),
        ("go", "no"): (-3.0, 0.0),
        ("go", "</s>"): (-0.1, 0.0),
    }
    after = replace(hmm, lm=NgramModel((unigram.orders[0], pairs)))
    unsure = (
        sure_of(path_of("N O N O", hmm), sharpness=1.5).exp() + sure_of(path_of("N O G O", hmm), sharpness=1.4).exp()
    ).log()
    unsure = unsure.log_softmax(1)[None]
    lens = torch.tensor([unsure.shape[1]])
    assert search(hmm, 0.3, 0.0)(unsure, lens)[0].text == "no no"
    assert search(after, 0.3, 0.0)(unsure, lens)[0].text == "no go"


def test_hybrid_search_without_a_blank_refuses_a_penalty_for_it() -> None:
    hmm = tiny_hmm()
    graph = hmm_graph(hmm.states.tree, hmm.states.transitions, hmm.lm, hmm.vocabulary.lexicon)
    with pytest.raises(ConfigError, match="no blank to take a penalty from"):
        WfstDecoder(graph, GraphOptions(blank_penalty=1.0), hmm.states.log_priors)
