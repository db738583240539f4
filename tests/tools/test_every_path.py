"""The search without a beam against the decoder with one that drops nothing."""

from __future__ import annotations

import random

import pytest
import torch

from asr_ligru.decode.wfst.build import hmm_graph
from asr_ligru.decode.wfst.decoder import SearchOptions, WfstDecoder
from tests.decode.wfst.cases import language_model, random_tree, spellings
from tests.decode.wfst.test_decoder import EXHAUSTIVE, PHONES, WORDS, in_phones, random_scores
from tools.every_path import EveryPath

pytest.importorskip("kaldi_decoder")


@pytest.mark.parametrize("seed", range(10))
def test_every_path_finds_what_a_beam_that_drops_nothing_finds(seed: int) -> None:
    rng = random.Random(seed)
    spelled = spellings(rng, WORDS, range(1, 4), 2)
    tree, transitions = random_tree(rng, PHONES, 1)
    graph = hmm_graph(tree, transitions, language_model(rng, [*spelled], 3), in_phones(spelled, 1))
    decoder = WfstDecoder(graph, SearchOptions(word_score=1.0, **EXHAUSTIVE))
    scores = random_scores(seed, 12, tree.num_pdfs)
    found = decoder(torch.from_numpy(scores)[None], torch.tensor([12]))[0]
    assert found.text
    assert EveryPath(graph).text(decoder.weighed(scores)) == found.text
