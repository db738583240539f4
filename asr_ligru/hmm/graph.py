"""Graphs of phones, and the graphs of tied states they become: what Viterbi searches.

A phone graph says which phones may follow which; every phone of it becomes as many chains of states as its neighbours
make different ones, so that triphones are exact inside words and across them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from asr_ligru.hmm.topology import PAUSES, Pauses
from asr_ligru.hmm.tree import ContextTree

SIL = 0
START = END = -1
NO_WORD = -1

Phones = tuple[int, ...]


@dataclass
class PhoneGraph:
    """Phones and which may follow which.

    Attributes:
        phones: the phone of each node.
        words: the word each node belongs to: a number that the maker of the graph chose, or NO_WORD for silence.
        arcs: (from, to, log-probability); from START and to END at the edges.
        joins: (sources, targets), nodes with log-probabilities: every source may be followed by every target.
    """

    phones: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    arcs: list[tuple[int, int, float]] = field(default_factory=list)
    joins: list[tuple[list[tuple[int, float]], list[tuple[int, float]]]] = field(default_factory=list)

    def add(self, phone: int, word: int) -> int:
        """Add a node and return its number."""
        self.phones.append(phone)
        self.words.append(word)
        return len(self.phones) - 1

    def add_word(self, phones: Phones, word: int) -> tuple[int, int]:
        """Add a chain of nodes and return its first and last."""
        nodes = [self.add(phone, word) for phone in phones]
        self.arcs += [(a, b, 0.0) for a, b in pairwise(nodes)]
        return nodes[0], nodes[-1]


def transcript_graph(pronunciations: Sequence[Sequence[Phones]], pauses: Pauses = PAUSES) -> PhoneGraph:
    """Return the ways to say a transcript: any pronunciation of each word, silence or none around each.

    Args:
        pronunciations: of each word in turn; a node's word is the place in this sequence.
        pauses: how likely silence is.
    """
    graph = PhoneGraph()
    ends = _optional_silence(graph, [(START, 0.0)], pauses.edge)
    last = len(pronunciations) - 1
    for place, choices in enumerate(pronunciations):
        spoken = [graph.add_word(phones, place) for phones in choices]
        graph.arcs += [(end, first, cost) for end, cost in ends for first, _ in spoken]
        ends = _optional_silence(graph, [(e, 0.0) for _, e in spoken], pauses.edge if place == last else pauses.between)
    graph.arcs += [(end, END, cost) for end, cost in ends if end != START]
    return graph


def _optional_silence(
    graph: PhoneGraph, ends: Sequence[tuple[int, float]], probability: float
) -> list[tuple[int, float]]:
    silence = graph.add(SIL, NO_WORD)
    into, past = _costs(probability)
    graph.arcs += [(end, silence, cost + into) for end, cost in ends]
    return [*((end, cost + past) for end, cost in ends), (silence, 0.0)]


def _costs(probability: float) -> tuple[float, float]:
    """Return the log-probabilities of silence and of none."""
    return _log(probability), _log(1 - probability)


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf


def loop_graph(words: Sequence[tuple[Phones, float]], end: float = 0.0, pauses: Pauses = PAUSES) -> PhoneGraph:
    """Return any sequence of words, silence or none around each.

    Args:
        words: phones and log-probability of each; a node's word is the place in this sequence.
        end: log-probability to end after a word.
        pauses: how likely silence is.
    """
    graph = PhoneGraph()
    silence, closing = graph.add(SIL, NO_WORD), graph.add(SIL, NO_WORD)
    (into, past), (pause, on) = _costs(pauses.edge), _costs(pauses.between)
    spoken = [(*graph.add_word(phones, place), cost) for place, (phones, cost) in enumerate(words)]
    graph.arcs.append((START, silence, into))
    for first, last, cost in spoken:
        graph.arcs += [(START, first, past + cost), (silence, first, cost), (last, silence, pause)]
        graph.arcs += [(last, closing, into + end), (last, END, past + end)]
    graph.joins.append(([(last, on) for _, last, _ in spoken], [(first, cost) for first, _, cost in spoken]))
    graph.arcs += [(silence, END, end), (closing, END, 0.0)]
    return graph


@dataclass(frozen=True)
class StateGraph:
    """Tied states and how they follow one another, self-loops apart.

    Some are no states but junctions, which take no frame: there paths meet before they part again.

    Attributes:
        pdfs: (S,) int64, the tied state of each; -1 for a junction.
        nodes: (S,) int64, the node of the phone graph it came from; -1 for a junction.
        hmm_states: (S,) int64, its place in the phone; -1 for a junction.
        arcs: (2, A) int64, from and to, in rising order of to.
        costs: (A,) float64 log-probabilities of the arcs, without those of the tied states.
        initial: (S,) float64 log-probabilities of the first state; -inf where none begins.
        final: (S,) float64, of the last.
    """

    pdfs: Tensor
    nodes: Tensor
    hmm_states: Tensor
    arcs: Tensor
    costs: Tensor
    initial: Tensor
    final: Tensor

    def __len__(self) -> int:
        return len(self.pdfs)


@dataclass(frozen=True)
class _Copy:
    """A node in one context: the neighbours it stands between, its tied states, and the number of the first."""

    lefts: frozenset[int]
    rights: frozenset[int]
    pdfs: Phones
    first: int

    @property
    def last(self) -> int:
        return self.first + len(self.pdfs) - 1


def expand(graph: PhoneGraph, tree: ContextTree) -> StateGraph:
    """Turn phones into chains of tied states, one for each context that makes a difference.

    Args:
        graph: the phones. Beyond the edges of an utterance the context is silence.
        tree: which tied states a phone has in a context.
    """
    copies = _copies(graph, tree)
    flat = [(node, copy) for node, of_node in enumerate(copies) for copy in of_node]
    size = sum(len(copy.pdfs) for _, copy in flat)
    arcs = [(s, s + 1, 0.0) for _, copy in flat for s in range(copy.first, copy.last)]
    initial, final = [-math.inf] * size, [-math.inf] * size
    for source, target, cost in graph.arcs:
        if source == START:
            for copy in _after(copies[target], SIL):
                initial[copy.first] = cost
        elif target == END:
            for copy in _before(copies[source], SIL):
                final[copy.last] = cost
        else:
            starts = _after(copies[target], graph.phones[source])
            ends = _before(copies[source], graph.phones[target])
            arcs += [(end.last, start.first, cost) for end in ends for start in starts]
    num_junctions, joined = _join(graph, copies, size)
    arcs += joined
    arcs.sort(key=lambda arc: arc[1])
    none = [-1] * num_junctions
    initial += [-math.inf] * num_junctions
    final += [-math.inf] * num_junctions
    return StateGraph(
        pdfs=torch.tensor([pdf for _, copy in flat for pdf in copy.pdfs] + none),
        nodes=torch.tensor([node for node, copy in flat for _ in copy.pdfs] + none),
        hmm_states=torch.tensor([state for _, copy in flat for state in range(len(copy.pdfs))] + none),
        arcs=torch.tensor([arc[:2] for arc in arcs], dtype=torch.int64).reshape(-1, 2).T.contiguous(),
        costs=torch.tensor([arc[2] for arc in arcs], dtype=torch.float64),
        initial=torch.tensor(initial, dtype=torch.float64),
        final=torch.tensor(final, dtype=torch.float64),
    )


def _join(graph: PhoneGraph, copies: list[list[_Copy]], size: int) -> tuple[int, list[tuple[int, int, float]]]:
    """Return how many junctions the joins of a graph need, numbered from ``size`` on, and the arcs in and out."""
    numbers: dict[tuple[tuple[int, float], ...], int] = {}
    out: set[tuple[int, int, float]] = set()
    for sources, targets in graph.joins:
        for left in {graph.phones[node] for node, _ in sources}:
            enders = [(node, cost) for node, cost in sources if graph.phones[node] == left]
            for right in sorted({graph.phones[node] for node, _ in targets}):
                ends = tuple((copy.last, cost) for node, cost in enders for copy in _before(copies[node], right))
                junction = numbers.setdefault(ends, size + len(numbers))
                starters = [(node, cost) for node, cost in targets if graph.phones[node] == right]
                out |= {(junction, c.first, cost) for node, cost in starters for c in _after(copies[node], left)}
    into = [(end, junction, cost) for ends, junction in numbers.items() for end, cost in ends]
    return len(numbers), [*into, *sorted(out)]


def _copies(graph: PhoneGraph, tree: ContextTree) -> list[list[_Copy]]:
    """Return the copies of each node: one for each set of contexts with the same tied states."""
    lefts: list[set[int]] = [set() for _ in graph.phones]
    rights: list[set[int]] = [set() for _ in graph.phones]
    for source, target, _ in graph.arcs:
        if target != END:
            lefts[target].add(SIL if source == START else graph.phones[source])
        if source != START:
            rights[source].add(SIL if target == END else graph.phones[target])
    for sources, targets in graph.joins:
        before, after = {graph.phones[node] for node, _ in sources}, {graph.phones[node] for node, _ in targets}
        for node, _ in sources:
            rights[node] |= after
        for node, _ in targets:
            lefts[node] |= before
    copies, first = [], 0
    for phone, left, right in zip(graph.phones, lefts, rights, strict=True):
        of_node = []
        for pdfs, contexts in _merged(phone, left, right, tree):
            of_node.append(_Copy(*contexts, pdfs, first))
            first += len(pdfs)
        copies.append(of_node)
    return copies


def _merged(
    phone: int, lefts: Iterable[int], rights: Iterable[int], tree: ContextTree
) -> list[tuple[Phones, tuple[frozenset[int], frozenset[int]]]]:
    """Join right contexts that make no difference, then left contexts that do not."""
    by_left: dict[tuple[Phones, frozenset[int]], set[int]] = {}
    for left in sorted(lefts):
        by_pdfs: dict[Phones, set[int]] = {}
        for right in sorted(rights):
            by_pdfs.setdefault(tree.states(left, phone, right), set()).add(right)
        for pdfs, together in by_pdfs.items():
            by_left.setdefault((pdfs, frozenset(together)), set()).add(left)
    return [(pdfs, (frozenset(left), right)) for (pdfs, right), left in by_left.items()]


def _after(copies: Iterable[_Copy], phone: int) -> list[_Copy]:
    return [copy for copy in copies if phone in copy.lefts]


def _before(copies: Iterable[_Copy], phone: int) -> list[_Copy]:
    return [copy for copy in copies if phone in copy.rights]
