"""What a search has kept: its best path frame by frame, and its likeliest different readings."""

from __future__ import annotations

import heapq
import math
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from asr_ligru.decode.wfst.fst import DELTA, Fst, compose
from asr_ligru.decode.wfst.libraries import kaldifst

_MAX_STATES = 2000  # of a lattice of words; beyond it readings are looked for one by one in the lattice of states
_END = -1  # behind all states
_NAMES = struct.Struct("<i6si8s")  # lengths and names: vector, lattice4
_NUMBERS = struct.Struct("<iiQqqq")
_FINAL = np.dtype([("graph", "<f4"), ("acoustic", "<f4"), ("arcs", "<i8")])
_ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("graph", "<f4"), ("acoustic", "<f4"), ("target", "<i4")])


@dataclass(frozen=True)
class Reading:
    """A sequence of words.

    Attributes:
        words: their numbers.
        score: natural-log score of its best path.
    """

    words: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class BestPath:
    """The best path.

    Attributes:
        labels: the label of each frame.
        reading: its words.
    """

    labels: tuple[int, ...]
    reading: Reading


def best_path(linear: Any) -> BestPath:
    """Return the path of a lattice of kaldifst that has one path."""
    _, labels, words, weight = kaldifst().get_linear_symbol_sequence(linear)
    return BestPath(tuple(labels), Reading(tuple(words), -(weight.value1 + weight.value2)))


def readings(lattice: Any, count: int) -> list[Reading]:
    """Return the likeliest different readings of a lattice of kaldifst, the best first, ``count`` at most."""
    words = _words_only(lattice)
    fst = words.vector()
    try:
        kaldifst().determinize_star(fst, DELTA, _MAX_STATES, use_log=False)
    except RuntimeError:  # more states than that
        return list(islice(_one_by_one(words), count))
    return _shortest(fst, count)


def _one_by_one(words: Fst) -> Iterator[Reading]:
    """Yield the different readings of an acyclic acceptor, the best first.

    A* over (state, words so far) with the exact cost of what follows, so each pair is left once, on its best path.
    """
    first = np.searchsorted(words.sources, np.arange(words.num_states + 1)).tolist()
    targets, labels, costs = words.targets.tolist(), words.olabels.tolist(), words.costs.tolist()
    final = words.final.tolist()
    ahead = _costs_ahead(first, targets, costs, final)
    queue: list[tuple[float, int, tuple[int, ...], float]] = [(ahead[words.start], words.start, (), 0.0)]
    left: set[tuple[int, tuple[int, ...]]] = set()
    while queue:
        total, state, said, cost = heapq.heappop(queue)
        if (state, said) in left:
            continue
        left.add((state, said))
        if state == _END:
            yield Reading(said, -total)
            continue
        if final[state] < math.inf:
            heapq.heappush(queue, (cost + final[state], _END, said, cost + final[state]))
        for arc in range(first[state], first[state + 1]):
            after, spent = (*said, labels[arc]) if labels[arc] else said, cost + costs[arc]
            if ahead[targets[arc]] < math.inf:
                heapq.heappush(queue, (spent + ahead[targets[arc]], targets[arc], after, spent))


def _costs_ahead(first: list[int], targets: list[int], costs: list[float], final: list[float]) -> list[float]:
    """Return the least cost from each state to the end; ``first`` is where each state's arcs begin."""
    ahead = list(final)
    waiting = [first[state + 1] - first[state] for state in range(len(final))]  # arcs whose target is not done
    into: list[list[int]] = [[] for _ in final]
    for state in range(len(final)):
        for arc in range(first[state], first[state + 1]):
            into[targets[arc]].append(state)
    done = [state for state, count in enumerate(waiting) if not count]
    while done:
        for before in into[done.pop()]:
            waiting[before] -= 1
            if not waiting[before]:
                arcs = range(first[before], first[before + 1])
                ahead[before] = min(final[before], *(costs[arc] + ahead[targets[arc]] for arc in arcs))
                done.append(before)
    return ahead


def labels_of(lattice: Any, words: Sequence[int]) -> tuple[int, ...]:
    """Return the label of each frame on the best path with these words; a lattice of kaldifst must have one."""
    steps = np.arange(len(words))
    end = np.append(np.full(len(words), np.inf), 0.0).astype(np.float32)
    wanted = Fst.of_columns([steps, steps + 1, np.array(words), np.array(words), np.zeros(len(words))], end)
    library = kaldifst()
    path = library.shortest_path(compose(_transducer(lattice).vector(), wanted.vector()), 1)
    _, labels, _, _ = library.get_linear_symbol_sequence(path)
    return tuple(labels)


def _shortest(fst: Any, count: int) -> list[Reading]:
    library = kaldifst()
    paths = library.convert_nbest_to_vector(library.shortest_path(fst, count))
    found = [library.get_linear_symbol_sequence(path) for path in paths]
    return [Reading(tuple(words), -weight.value) for _, _, words, weight in found]


def _words_only(lattice: Any) -> Fst:
    """Return the lattice as an acceptor of words, costs summed."""
    fst = _transducer(lattice)
    return fst.reading(fst.olabels)


def _transducer(lattice: Any) -> Fst:
    """Return the lattice from labels to words, costs summed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lattice"
        lattice.write(str(path))
        raw = path.read_bytes()
    _, _, _, start, num_states, _ = _NUMBERS.unpack_from(raw, 4 + _NAMES.size)
    place = 4 + _NAMES.size + _NUMBERS.size
    finals = np.empty(num_states, _FINAL)
    arcs = []
    for state in range(num_states):
        finals[state] = np.frombuffer(raw, _FINAL, 1, place)[0]
        place += _FINAL.itemsize
        arcs.append(np.frombuffer(raw, _ARC, finals["arcs"][state], place))
        place += arcs[-1].nbytes
    joined = np.concatenate(arcs)
    sources = np.repeat(np.arange(num_states), finals["arcs"])
    columns = [sources, joined["target"], joined["ilabel"], joined["olabel"]]
    return Fst.of_columns([*columns, joined["graph"] + joined["acoustic"]], finals["graph"] + finals["acoustic"], start)
