"""Decision trees that tie the states of triphones: questions about neighbours, asked while they gain likelihood."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.clusters import agglomerate, log_like, partition
from asr_ligru.hmm.diag_gmm import extend
from asr_ligru.hmm.graph import SIL
from asr_ligru.hmm.topology import Topology
from asr_ligru.hmm.tree import ContextTree

_HELD_UTTERANCES = 1000  # whose sums are held before they are added up, 40 MB
_LESS = 1 - 1e-6  # rounding must not join what was split with the least gain


@dataclass(frozen=True)
class TreeOptions:
    """When a tree stops growing.

    Attributes:
        leaves: tied states at most; every state of every phone has one at least.
        min_gain: likelihood that a question must gain, nats.
        min_count: frames that each answer must have.
    """

    leaves: int
    min_gain: float = 300.0
    min_count: float = 30.0


@dataclass(frozen=True, eq=False)
class _Contexts:
    """C states of phones between neighbours, as they were seen.

    Attributes:
        keys: (C, 4) int64 phone, left neighbour, right neighbour, state.
        sums: (C, 1 + 2 D) of their extended frames.
    """

    keys: Tensor
    sums: Tensor


@dataclass(frozen=True, eq=False)
class _Node:
    """Contexts of one state of one phone that have given the same answers.

    Attributes:
        root: phone and state.
        region: (P, P) bool, the left and right neighbours that come here, seen or not.
        seen: numbers of those that were seen.
    """

    root: tuple[int, int]
    region: Tensor
    seen: Tensor


def build_tree(
    topology: Topology, feats: Sequence[Tensor], alignments: Sequence[Alignment | None], options: TreeOptions
) -> ContextTree:
    """Grow a tree for each state of each phone, the most gainful question of all trees first; silence is not split.

    Args:
        topology: the phones.
        feats: (T, D) of each utterance.
        alignments: of each; None where there is none.
        options: when to stop.

    Returns:
        The tree. Questions are sets of phones that sound alike by these very frames. Leaves of one state that lose
        less than the least gain by being joined are joined in the end.

    Source: Young, Odell, Woodland, "Tree-based state tying for high accuracy acoustic modelling", 1994; Kaldi,
        src/tree/build-tree.cc.
    """
    contexts = _collect(topology, feats, alignments)
    grower = _Grower(contexts, questions(topology, contexts.keys, contexts.sums), options)
    leaves = grower.grow(_roots(topology, contexts))
    return ContextTree(topology, _table(topology, grower.merged(leaves)))


def _collect(topology: Topology, feats: Sequence[Tensor], alignments: Sequence[Alignment | None]) -> _Contexts:
    """Sum up the frames of each state of each phone between its neighbours."""
    size, states = len(topology.phones), topology.max_states
    codes: list[Tensor] = []
    sums: list[Tensor] = []
    for frames, alignment in zip(feats, alignments, strict=True):
        if alignment is not None:
            left, phone, right = alignment.contexts
            code, place = torch.unique(
                ((phone * size + left) * size + right) * states + alignment.states, return_inverse=True
            )
            extended = extend(frames)
            codes.append(code)
            sums.append(_summed(extended, place))
        if len(codes) == _HELD_UTTERANCES:
            codes, sums = _joined(codes, sums)
    (code,), (total,) = _joined(codes, sums)
    keys = torch.stack(
        [code // (size * size * states), code // (size * states) % size, code // states % size, code % states], 1
    )
    return _Contexts(keys, total)


def _joined(codes: list[Tensor], sums: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Add up the rows with the same code."""
    code, place = torch.unique(torch.cat(codes), return_inverse=True)
    return [code], [_summed(torch.cat(sums), place)]


def _summed(rows: Tensor, place: Tensor) -> Tensor:
    """Add rows (N, F) up by their places (N,), every one of which is taken."""
    return rows.new_zeros(int(place.max()) + 1, rows.shape[1]).index_add_(0, place, rows)


def questions(topology: Topology, keys: Tensor, sums: Tensor) -> Tensor:
    """Return sets of phones (Q, P) bool: each phone, silence, and those that come together when phones are clustered.

    Args:
        topology: P phones.
        keys: (C, 4) int64 phone, left neighbour, right neighbour, state.
        sums: (C, 1 + 2 D); the middle states are compared.
    """
    size = len(topology.phones)
    middle = keys[:, 3] == topology.num_states // 2
    by_phone = sums.new_zeros(size, sums.shape[1]).index_add_(0, keys[middle, 0], sums[middle])
    groups = [frozenset([phone]) for phone in range(size)]
    groups += [frozenset(i + 1 for i in group) for group in agglomerate(by_phone[SIL + 1 :])]
    asked = torch.zeros(len(groups), size, dtype=torch.bool)
    for row, group in zip(asked, groups, strict=True):
        row[list(group)] = True
    return asked


def _roots(topology: Topology, contexts: _Contexts) -> list[_Node]:
    size = len(topology.phones)
    region = torch.ones(size, size, dtype=torch.bool)
    return [
        _Node((p, s), region, ((contexts.keys[:, 0] == p) & (contexts.keys[:, 3] == s)).nonzero()[:, 0])
        for p in range(size)
        for s in range(topology.states_of(p))
    ]


@dataclass
class _Grower:
    """Splits nodes.

    Attributes:
        contexts: what was seen.
        asked: (Q, P) bool sets of phones.
        options: when to stop.
        least_gain: of the splits made so far, nats.
    """

    contexts: _Contexts
    asked: Tensor
    options: TreeOptions
    least_gain: float = float("inf")

    def grow(self, leaves: list[_Node]) -> list[_Node]:
        """Split the leaf that gains most until there are enough leaves, or no gain."""
        order = count()
        heap: list[tuple[float, int, _Node, tuple[_Node, _Node]]] = []
        for leaf in leaves:
            self._offer(heap, order, leaf)
        current = {id(leaf): leaf for leaf in leaves}
        while heap and len(current) < self.options.leaves:
            negative_gain, _, node, parts = heapq.heappop(heap)
            self.least_gain = min(self.least_gain, -negative_gain)
            del current[id(node)]
            for part in parts:
                current[id(part)] = part
                self._offer(heap, order, part)
        return list(current.values())

    def _offer(self, heap: list[tuple[float, int, _Node, tuple[_Node, _Node]]], order: count[int], node: _Node) -> None:
        """Put a node's best question onto the heap if it gains enough."""
        if node.root[0] == SIL or len(node.seen) < 2:
            return
        sums = self.contexts.sums[node.seen]
        total = sums.sum(0)
        answers = torch.cat([self.asked[:, self.contexts.keys[node.seen, side]] for side in (1, 2)])  # (2 Q, C)
        yes = answers.double() @ sums
        no = total - yes
        gains = log_like(yes) + log_like(no) - log_like(total)
        gains[torch.minimum(yes[:, 0], no[:, 0]) < self.options.min_count] = -1.0
        best = int(gains.argmax())
        if float(gains[best]) < self.options.min_gain:
            return
        side, question = divmod(best, len(self.asked))
        group = self.asked[question]
        inside = group[:, None] if side == 0 else group[None, :]
        answer = answers[best]
        parts = (
            _Node(node.root, node.region & inside, node.seen[answer]),
            _Node(node.root, node.region & ~inside, node.seen[~answer]),
        )
        heapq.heappush(heap, (-float(gains[best]), next(order), node, parts))

    def merged(self, leaves: list[_Node]) -> list[list[_Node]]:
        """Join leaves of the same state that differ less than any two that were split."""
        by_root: dict[tuple[int, int], list[_Node]] = {}
        for leaf in leaves:
            by_root.setdefault(leaf.root, []).append(leaf)
        groups = []
        for root in sorted(by_root):
            of_root = by_root[root]
            sums = torch.stack([self.contexts.sums[leaf.seen].sum(0) for leaf in of_root])
            joined = agglomerate(sums, _LESS * self.least_gain)
            groups += [[of_root[i] for i in sorted(group)] for group in partition(len(of_root), joined)]
        return groups


def _table(topology: Topology, groups: list[list[_Node]]) -> Tensor:
    size = len(topology.phones)
    table = torch.full((size, size, size, topology.max_states), -1, dtype=torch.int32)
    for pdf, group in enumerate(groups):
        for leaf in group:
            phone, state = leaf.root
            table[phone, :, :, state][leaf.region] = pdf
    return table
