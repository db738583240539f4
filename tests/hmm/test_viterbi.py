"""Viterbi search against an enumeration of every path, and the compiled one against the one in torch."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from asr_ligru.hmm import viterbi as module
from asr_ligru.hmm.graph import StateGraph, expand, loop_graph, transcript_graph
from asr_ligru.hmm.topology import Pauses, Topology, Transitions
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.hmm.viterbi import Paths, Trellis, viterbi
from asr_ligru.ops.fused_cpu import refusal

TOPOLOGY = Topology.of(["a", "b"], num_states=2, num_silence_states=1)
TREE = ContextTree.monophone(TOPOLOGY)
SCALE = 0.3
COMPILED = pytest.param("", marks=pytest.mark.skipif(bool(refusal()), reason=refusal()), id="compiled")
STEPPED = pytest.param("the reference is to be tested", id="stepped")


@pytest.fixture(autouse=True, params=[COMPILED, STEPPED])
def search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "refusal", lambda: request.param)


def brute_force(graph: StateGraph, stay: torch.Tensor, scores: torch.Tensor) -> float:
    """Return the best score of all sequences of states."""
    cost = {pair: value + leaving(graph, stay, pair[0]) for pair, value in direct(graph).items()}
    best = -math.inf
    for path in itertools.product((graph.pdfs >= 0).nonzero()[:, 0].tolist(), repeat=len(scores)):
        total = float(graph.initial[path[0]] + graph.final[path[-1]])
        total += leaving(graph, stay, path[-1])
        total += sum(float(scores[t, state]) for t, state in enumerate(path))
        for a, b in itertools.pairwise(path):
            loop = SCALE * math.log(float(stay[graph.pdfs[a]])) if a == b else -math.inf
            total += max(loop, cost.get((a, b), -math.inf))
        best = max(best, total)
    return best


def leaving(graph: StateGraph, stay: torch.Tensor, state: int) -> float:
    return SCALE * math.log(1 - float(stay[graph.pdfs[state]]))


def direct(graph: StateGraph) -> dict[tuple[int, int], float]:
    """Return the best log-probability from each state to each next one, over a junction or not."""
    cost = dict(zip(map(tuple, graph.arcs.T.tolist()), graph.costs.tolist(), strict=True))
    found = {(a, b): value for (a, b), value in cost.items() if graph.pdfs[a] >= 0 and graph.pdfs[b] >= 0}
    for (a, junction), first in cost.items():
        for (other, b), second in cost.items():
            if other == junction and graph.pdfs[junction] < 0:
                found[a, b] = max(found.get((a, b), -math.inf), first + second)
    return found


def check_exact(graphs: list[StateGraph], lens: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    stay = torch.rand(TREE.num_pdfs, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    trellis = Trellis(graphs)
    size = trellis.first_state[-1]
    scores = torch.randn(max(lens), size, generator=generator, dtype=torch.float64)
    paths = viterbi(trellis, Transitions(stay), scores, torch.arange(size), lens, SCALE)
    for i, (graph, length) in enumerate(zip(graphs, lens, strict=True)):
        first = trellis.first_state[i]
        own = scores[:length, first : first + len(graph)]
        assert abs(float(paths.scores[i]) - brute_force(graph, stay, own)) < 1e-10
        states = paths.states[i].tolist()
        assert len(states) == length
        walked = {(a, b) for a, b in itertools.pairwise(states) if a != b}
        assert walked <= direct(graph).keys()


def test_viterbi_transcripts_in_a_batch_find_the_best_of_all_paths() -> None:
    graphs = [expand(transcript_graph(words), TREE) for words in ([[(1,)], [(2,)]], [[(1,), (2,)]], [[(2,)]])]
    check_exact(graphs, [5, 4, 3])


def test_viterbi_word_loop_finds_the_best_of_all_paths() -> None:
    graph = expand(loop_graph([((1,), math.log(0.7)), ((2,), math.log(0.3))]), TREE)
    check_exact([graph, graph], [6, 3])


def test_viterbi_fewer_frames_than_states_scores_minus_infinity() -> None:
    graph = expand(transcript_graph([[(1, 2)]]), TREE)
    scores = torch.zeros(3, len(graph), dtype=torch.float64)
    paths = viterbi(Trellis([graph]), Transitions.initial(TREE.num_pdfs), scores, torch.arange(len(graph)), [3], SCALE)
    assert paths.scores.tolist() == [-math.inf]


@pytest.mark.parametrize("word_loop", [False, True])
def test_viterbi_certain_edge_silence_is_always_there(word_loop: bool) -> None:
    pauses = Pauses(edge=1.0)
    phones = loop_graph([((1, 2), 0.0)], pauses=pauses) if word_loop else transcript_graph([[(1, 2)]], pauses)
    graph = expand(phones, TREE)
    scores = torch.where(graph.pdfs == 0, -100.0, 0.0).double().expand(9, -1)  # silence does not fit at all
    paths = viterbi(Trellis([graph]), Transitions.initial(TREE.num_pdfs), scores, torch.arange(len(graph)), [9], SCALE)
    pdfs = graph.pdfs[paths.states[0]].tolist()
    assert [pdfs[0], pdfs[-1]] == [0, 0]
    assert 0 not in pdfs[1:-1]


@pytest.mark.parametrize("word_loop", [False, True])
def test_viterbi_impossible_inner_silence_is_nowhere_between_words(word_loop: bool) -> None:
    pauses = Pauses(edge=1.0, between=0.0)
    words = [((1, 2), 0.0)]
    phones = loop_graph(words, pauses=pauses) if word_loop else transcript_graph([[(1, 2)], [(1, 2)]], pauses)
    graph = expand(phones, TREE)
    scores = torch.where(graph.pdfs == 0, 1.0, 0.0).double().repeat(14, 1)  # silence fits best, but for two words
    scores[2:7] = scores[8:12] = torch.where(graph.pdfs == 0, -10.0, 0.0).double()
    paths = viterbi(Trellis([graph]), Transitions.initial(TREE.num_pdfs), scores, torch.arange(len(graph)), [14], SCALE)
    pdfs = graph.pdfs[paths.states[0]].tolist()
    assert pdfs[0] == pdfs[-1] == 0
    spoken = [place for place, pdf in enumerate(pdfs) if pdf != 0]
    assert spoken == list(range(spoken[0], spoken[-1] + 1))


@pytest.mark.skipif(bool(refusal()), reason=refusal())
@pytest.mark.parametrize("threads", [1, 3])
def test_viterbi_compiled_has_the_bits_of_the_reference(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    generator = torch.Generator().manual_seed(1)
    words = [((1, 2), -0.5), ((2,), -1.5), ((2, 1, 1), -2.0), ((1, 1), -0.5)]
    loop = expand(loop_graph(words, end=-1.0), TREE)
    known = expand(transcript_graph([[(1, 2), (2,)], [(2, 1, 1)], [(1,)]]), TREE)
    lens = [60, 41, 41, 12, 9, 1]
    trellis = Trellis([loop, known, loop, known, loop, known])
    stay = torch.rand(TREE.num_pdfs, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    columns = trellis.pdfs.clamp(min=0)
    scores = torch.randn(max(lens), TREE.num_pdfs, generator=generator, dtype=torch.float64)

    def paths(reason: str) -> Paths:
        monkeypatch.setattr(module, "refusal", lambda: reason)
        return viterbi(trellis, Transitions(stay), scores, columns, lens, SCALE)

    found, expected = paths(""), paths("the reference")
    assert expected.scores.isfinite().tolist() == [True, True, True, True, True, False]
    assert torch.equal(found.scores, expected.scores)
    for own, other in zip(found.states[:-1], expected.states[:-1], strict=True):
        assert own.tolist() == other.tolist()
