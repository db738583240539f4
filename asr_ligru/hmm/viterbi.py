"""The best path through each of many graphs: the compiled search, and the same in torch, one step a frame for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from asr_ligru.hmm.graph import StateGraph
from asr_ligru.hmm.topology import Transitions
from asr_ligru.ops.fused_cpu import refusal
from asr_ligru.ops.fused_cpu.viterbi import best_paths

_LIMITS = (0, 1, 4, 16, 64, 1 << 30)  # states are searched together by how many predecessors they have


@dataclass(frozen=True)
class _Bucket:
    """States with a similar number of predecessors.

    Attributes:
        states: (W,) int64, rising.
        arcs: (K, W) int64, the arcs into each; a state with fewer than K repeats its first.
    """

    states: Tensor
    arcs: Tensor


class Trellis:
    """Graphs side by side, ready to be searched together.

    Args:
        graphs: in the order of falling numbers of frames.

    Attributes:
        pdfs: (S,) int64 of all states; -1 for a junction.
        first_state: where the states of each graph begin, and last their total.
        first_arc: (S + 1,) int64, the same of the arcs into each state.
    """

    def __init__(self, graphs: Sequence[StateGraph]) -> None:
        self.first_state = [0, *torch.tensor([len(graph) for graph in graphs]).cumsum(0).tolist()]
        self.pdfs = torch.cat([graph.pdfs for graph in graphs])
        self.initial = torch.cat([graph.initial for graph in graphs])
        self.final = torch.cat([graph.final for graph in graphs])
        shifted = [graph.arcs + first for graph, first in zip(graphs, self.first_state, strict=False)]
        self.sources, targets = torch.cat(shifted, 1)
        self.costs = torch.cat([graph.costs for graph in graphs])
        num_arcs = torch.bincount(targets, minlength=len(self.pdfs))
        self.first_arc = torch.cat([torch.zeros(1, dtype=torch.int64), num_arcs.cumsum(0)])
        self.junctions = self.pdfs < 0

    @cached_property
    def junction_buckets(self) -> list[_Bucket]:
        """The junctions."""
        return self._buckets(self.first_arc.diff() * self.junctions)

    @cached_property
    def buckets(self) -> list[_Bucket]:
        """The states."""
        return self._buckets(self.first_arc.diff() * ~self.junctions)

    def _buckets(self, num_arcs: Tensor) -> list[_Bucket]:
        return [
            self._bucket(states, num_arcs)
            for low, high in pairwise(_LIMITS)
            if len(states := ((num_arcs > low) & (num_arcs <= high)).nonzero()[:, 0])
        ]

    def _bucket(self, states: Tensor, num_arcs: Tensor) -> _Bucket:
        slots = torch.arange(int(num_arcs[states].max()))[:, None]
        return _Bucket(states, self.first_arc[states] + torch.where(slots < num_arcs[states], slots, 0))


@dataclass(frozen=True)
class Paths:
    """The best path of each graph.

    Attributes:
        states: one (T,) int64 for each graph, numbers of its own states.
        scores: (U,) float64 log-probabilities, scaled as they were given; -inf where no path leads through.
    """

    states: list[Tensor]
    scores: Tensor


@dataclass(frozen=True)
class _Costs:
    """Log-probabilities of a trellis with those of the tied states.

    Attributes:
        stay: (S,) to stay in each state.
        arcs: (A,) to leave the source of each arc and take it.
        final: (S,) to leave each state as the last one.
    """

    stay: Tensor
    arcs: Tensor
    final: Tensor


def viterbi(
    trellis: Trellis, transitions: Transitions, frame_scores: Tensor, columns: Tensor, lens: Sequence[int], scale: float
) -> Paths:
    """Find the best path of each graph through the frames of its utterance.

    Args:
        trellis: U graphs.
        transitions: of the tied states.
        frame_scores: (T, C) scaled acoustic log-likelihoods, anything beyond an utterance's end.
        columns: (S,) int64, which of the C scores each state of the trellis has.
        lens: U numbers of frames, falling, each >= 1; the longest is T.
        scale: factor on the log-probabilities to stay in a tied state and to leave it.

    Source: Kaldi, src/hmm/hmm-utils.cc (AddSelfLoops) for the scaling: with one way on, the log-probability to leave
        is that of not staying, scaled the same.
    """
    search = _compiled if not refusal() else _stepped
    return search(trellis, frame_scores, columns, lens, _costs(trellis, transitions, scale))


def _compiled(trellis: Trellis, frame_scores: Tensor, columns: Tensor, lens: Sequence[int], costs: _Costs) -> Paths:
    """Search graph by graph; every score is that of ``_stepped``, bit by bit."""
    states, scores = best_paths(
        lens,
        first_state=torch.tensor(trellis.first_state),
        first_arc=trellis.first_arc,
        source=trellis.sources,
        cost=costs.arcs,
        pdf=trellis.pdfs,
        column=columns,
        stay=costs.stay,
        initial=trellis.initial,
        final=costs.final,
        score=frame_scores,
    )
    return Paths(states, scores)


def _stepped(trellis: Trellis, frame_scores: Tensor, columns: Tensor, lens: Sequence[int], costs: _Costs) -> Paths:
    """Search all graphs side by side: the reference, and the way without the compiled core."""
    alpha = trellis.initial + frame_scores[0][columns]
    slots = torch.zeros(len(frame_scores), len(alpha), dtype=torch.int32)  # 0: stayed, k: came over the k-th arc
    moved, slot = torch.full_like(alpha, -math.inf), torch.ones_like(slots[0])
    n, meet, go = -1, _Steps([]), _Steps([])
    alive = _alive(lens)
    for t in range(1, len(frame_scores)):
        active = trellis.first_state[alive[t]]
        if active != n:
            n = active
            meet, go = (
                _Steps.of(trellis, trellis.junction_buckets, costs.arcs, n),
                _Steps.of(trellis, trellis.buckets, costs.arcs, n),
            )
        meet.best(alpha, moved, slot)
        meet.copy(moved, alpha)
        go.best(alpha, moved, slot)
        stayed = alpha[:n] + costs.stay[:n]
        goes_on = moved[:n] > stayed
        torch.mul(goes_on, slot[:n], out=slots[t, :n])
        alpha[:n] = torch.where(goes_on, moved[:n], stayed).add_(frame_scores[t][columns[:n]])
    return _trace(trellis, alpha + costs.final, slots, lens)


def _alive(lens: Sequence[int]) -> list[int]:
    """Return for each frame how many utterances have it."""
    alive: list[int] = (torch.tensor(lens) > torch.arange(lens[0])[:, None]).sum(1).tolist()
    return alive


def _costs(trellis: Trellis, transitions: Transitions, scale: float) -> _Costs:
    """Scale the log-probabilities to stay in each state and to leave it; a junction is always left."""
    stay = scale * transitions.stay.log()[trellis.pdfs]
    leave = (scale * (-transitions.stay).log1p()[trellis.pdfs]).masked_fill(trellis.junctions, 0.0)
    return _Costs(
        stay.masked_fill(trellis.junctions, -math.inf), trellis.costs + leave[trellis.sources], trellis.final + leave
    )


class _Steps:
    """What leads from one frame to the next into the first ``num_states`` states.

    Args:
        parts: states (W,), sources (K, W) and costs (K, W) of each bucket.
    """

    def __init__(self, parts: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        self._parts = parts

    @classmethod
    def of(cls, trellis: Trellis, buckets: Sequence[_Bucket], costs: Tensor, num_states: int) -> _Steps:
        """Cut the arcs of ``buckets`` to those into the first states."""
        widths = [int(torch.searchsorted(bucket.states, num_states)) for bucket in buckets]
        cut = [(b.states[:width], b.arcs[:, :width]) for b, width in zip(buckets, widths, strict=True)]
        return cls([(states, trellis.sources[arcs], costs[arcs]) for states, arcs in cut])

    def best(self, alpha: Tensor, moved: Tensor, slot: Tensor) -> None:
        """Enter for each state the best score that comes over an arc, and which arc from 1 on (1 was there before)."""
        for states, sources, costs in self._parts:
            if len(sources) == 1:
                moved[states] = alpha[sources[0]].add_(costs[0])
            else:
                best, which = alpha[sources].add_(costs).max(0)
                moved[states], slot[states] = best, which.int().add_(1)

    def copy(self, scores: Tensor, into: Tensor) -> None:
        """Copy the scores of the states that are led to."""
        for states, _, _ in self._parts:
            into[states] = scores[states]


def _trace(trellis: Trellis, ends: Tensor, slots: Tensor, lens: Sequence[int]) -> Paths:
    """Follow the best paths back from their ends."""
    last = [part.max(0) for part in torch.split(ends, torch.tensor(trellis.first_state).diff().tolist())]
    first_state = torch.tensor(trellis.first_state[:-1])
    state = torch.stack([part.indices for part in last]) + first_state
    path = torch.zeros(len(slots), len(lens), dtype=torch.int64)
    alive = _alive(lens)
    for t in reversed(range(len(slots))):
        active = alive[t]
        now = state[:active]
        path[t, :active] = now
        before = _back(trellis, slots[t], now)
        state[:active] = torch.where(trellis.junctions[before], _back(trellis, slots[t], before), before)
    states = [
        path[:length, i] - first for i, (length, first) in enumerate(zip(lens, first_state.tolist(), strict=True))
    ]
    return Paths(states, torch.stack([part.values for part in last]))


def _back(trellis: Trellis, slots: Tensor, states: Tensor) -> Tensor:
    """Return where a path came from into ``states``."""
    arc = slots[states].long()
    return torch.where(arc > 0, trellis.sources[(trellis.first_arc[states] + arc - 1).clamp(min=0)], states)
