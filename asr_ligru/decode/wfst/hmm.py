"""Graphs for tied-state HMMs: states, context, lexicon and language model.

Source: Mohri, Pereira and Riley 2002, "Weighted finite-state transducers in speech recognition"; Kaldi,
egs/wsj/s5/utils/mkgraph.sh and src/hmm/hmm-utils.cc (AddSelfLoops) for the order of the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_ligru.decode.wfst.fst import EPS, Arc, Fst, compose
from asr_ligru.decode.wfst.lexicon import Units
from asr_ligru.decode.wfst.libraries import kaldifst
from asr_ligru.hmm.topology import Transitions
from asr_ligru.hmm.tree import ContextTree

_WIDTH, _CENTRE = 3, 1


class State(NamedTuple):
    """A state of a phone. Phones may share tied states; paths that differ in phones alone stay apart all the same."""

    phone: int
    place: int
    pdf: int
    first: bool  # its frame is the first of a word

    @property
    def stayed(self) -> State:
        """What further frames in it are."""
        return self._replace(first=False)


Chain = tuple[State, ...]


def phones_in_context(lg: Fst, tree: ContextTree, units: Units) -> tuple[Fst, list[Chain]]:
    """Return C composed with LG, and the states that its labels stand for.

    Contexts with the same tied states become one. What nothing is heard of comes last and stands for no states.

    Args:
        lg: reads labels of ``units``, phone p being unit p + 1.
        tree: which tied states a phone has between its neighbours; beyond the edges of an utterance stands silence.
        units: the labels of phones.

    Returns:
        A transducer, and chains: chain c belongs to label c + 1.
    """
    marks = np.unique(lg.ilabels[lg.ilabels >= units.backoff]).tolist()
    raw, windows = kaldifst().compose_context(marks, _WIDTH, _CENTRE, lg.vector())
    chains = [_chain(window, tree, units) if len(window) == _WIDTH else () for window in windows]
    known = {chain: number for number, chain in enumerate(dict.fromkeys(filter(None, chains)), start=1)}
    silent = [i for i, chain in enumerate(chains) if i != EPS and not chain]
    numbers = np.array([known.get(chain, EPS) for chain in chains], np.int32)
    numbers[silent] = len(known) + 1 + np.arange(len(silent))
    fst = Fst.read(raw)
    return fst.reading(numbers[fst.ilabels]), [*known, *[()] * len(silent)]


def _chain(window: Sequence[int], tree: ContextTree, units: Units) -> Chain:
    """Return the states of the phone in the middle of a window; 0 in it is beyond the utterance, which is silence."""
    left, phone, right = ((unit - 1) % units.num if unit else 0 for unit in window)
    begins = window[_CENTRE] > units.num
    pdfs = tree.states(left, phone, right)
    return tuple(State(phone, place, pdf, begins and not place) for place, pdf in enumerate(pdfs))


@dataclass(frozen=True, eq=False)
class Labels:
    """What states are called in a graph: label n + 1 is state n; marks are behind these.

    Attributes:
        states: each once.
    """

    states: tuple[State, ...]

    @classmethod
    def of(cls, chains: Sequence[Chain]) -> Labels:
        """Return the labels of all states of the chains, and of staying in them."""
        return cls(tuple(dict.fromkeys(s for chain in chains for state in chain for s in (state, state.stayed))))

    @property
    def marks(self) -> int:
        """The first label of a mark."""
        return len(self.states) + 1

    @property
    def pdfs(self) -> NDArray[np.int64]:
        """(N,) the tied state of each."""
        return np.array([state.pdf for state in self.states])

    @property
    def stayed(self) -> NDArray[np.int64]:
        """(N,) which of the states a further frame in each is."""
        numbers = {state: n for n, state in enumerate(self.states)}
        return np.array([numbers[state.stayed] for state in self.states])


def state_topology(chains: Sequence[Chain], labels: Labels) -> Fst:
    """Return H without self-loops: reads the labels of a chain where it writes its number; a mark is read as one."""
    numbers = {state: n for n, state in enumerate(labels.states, start=1)}
    arcs: list[Arc] = []
    size = 1
    for number, chain in enumerate(chains, start=1):
        read = [numbers[state] for state in chain] or [labels.marks + number]
        nodes = [0, *range(size, size + len(read) - 1), 0]
        size += len(read) - 1
        for place, label in enumerate(read):
            arcs.append((nodes[place], nodes[place + 1], label, EPS if place else number, 0.0))
    return Fst.of(arcs, {0: 0.0}, size)


def states_of(lg: Fst, tree: ContextTree, units: Units) -> tuple[Any, Labels]:
    """Return H, C and LG composed, without self-loops, and what its labels are; for arguments see above."""
    clg, chains = phones_in_context(lg, tree, units)
    labels = Labels.of(chains)
    return compose(state_topology(chains, labels).vector(), clg.vector()), labels


def with_self_loops(fst: Fst, labels: Labels, transitions: Transitions, scale: float) -> Fst:
    """Return a graph of states in which each may be stayed in, and costs what the transitions say.

    Every visit to a state pays for leaving it once, on the arc that enters.

    Args:
        fst: reads labels of states, or nothing.
        labels: the labels.
        transitions: of the tied states.
        scale: factor on their log-probabilities.
    """
    stay = -scale * transitions.stay.log().numpy()
    leave = -scale * (-transitions.stay).log1p().numpy()
    heard = fst.ilabels != EPS
    entered = fst.ilabels[heard] - 1
    costs = fst.costs.copy()
    costs[heard] += leave[labels.pdfs[entered]].astype(np.float32)
    (nodes, states), ways = np.unique(
        np.stack([fst.targets[heard], labels.stayed[entered]]), axis=1, return_inverse=True
    )
    loops = _loop_nodes(fst, nodes)
    targets = fst.targets.copy()
    targets[heard] = loops[ways.ravel()]
    apart = loops >= fst.num_states
    nothing = np.zeros(len(loops), np.int32)
    parts = [
        (fst.sources, targets, fst.ilabels, fst.olabels, costs),
        (loops, loops, states + 1, nothing, stay[labels.pdfs[states]]),
        (loops[apart], nodes[apart], nothing[apart], nothing[apart], nothing[apart]),
    ]
    final = np.concatenate([fst.final, np.full(int(apart.sum()), np.inf, np.float32)])
    return Fst.of_columns([np.concatenate(column) for column in zip(*parts, strict=True)], final, fst.start)


def _loop_nodes(fst: Fst, entered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each way to enter a node may stay: in the node itself if it is the only way, else before it.

    Args:
        fst: the graph.
        entered: (N,) the node of each of N ways to enter one, rising.

    Returns:
        (N,) nodes; those behind the last one of ``fst`` are new.
    """
    ways = np.bincount(entered, minlength=fst.num_states)
    ways += np.bincount(fst.targets[fst.ilabels == EPS], minlength=fst.num_states)
    ways[fst.start] += 1
    shared = ways[entered] > 1
    loops = entered.astype(np.int64)
    loops[shared] = fst.num_states + np.arange(int(shared.sum()))
    return loops
