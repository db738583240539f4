"""The best path of a decoding graph without a beam: every path is compared, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_ligru.decode.wfst.fst import EPS
from asr_ligru.decode.wfst.graph import DecodingGraph

_NONE = -1


class EveryPath:
    """Searches a graph, Viterbi over all of its states.

    Args:
        graph: what is searched; no circle in it reads nothing.
    """

    def __init__(self, graph: DecodingGraph) -> None:
        self._graph, self._fst = graph, graph.fst
        self._heard = _Step(self._fst.ilabels != EPS, graph)
        self._silent = []  # those that lead to the states so many silent arcs away, one after the other
        depth = np.zeros(self._fst.num_states, np.int64)
        silent = np.flatnonzero(self._fst.ilabels == EPS)
        while True:
            further = depth.copy()
            np.maximum.at(further, self._fst.targets[silent], depth[self._fst.sources[silent]] + 1)
            if (further == depth).all():
                break
            depth = further
        for level in range(1, int(depth.max()) + 1):
            self._silent.append(_Step((self._fst.ilabels == EPS) & (depth[self._fst.targets] == level), graph))

    def text(self, weighed: NDArray[np.float32]) -> str:
        """Return the words of the best path.

        Args:
            weighed: (T, N) score of each label in each frame.
        """
        scores = np.full(self._fst.num_states, -np.inf)
        scores[self._fst.start] = 0.0
        came_by = [self._go_on(scores, np.full(len(scores), _NONE))]
        for row in weighed.astype(np.float64):
            before, scores = scores, np.full(len(scores), -np.inf)
            arcs = np.full(len(scores), _NONE)
            self._heard.take(before, scores, arcs, row)
            came_by.append(self._go_on(scores, arcs))
        return self._words(came_by, int((scores - self._fst.final).argmax()))

    def _go_on(self, scores: NDArray[np.float64], arcs: NDArray[np.int64]) -> NDArray[np.int64]:
        for step in self._silent:
            step.take(scores, scores, arcs)
        return arcs

    def _words(self, came_by: list[NDArray[np.int64]], state: int) -> str:
        """Follow the arcs back; each silent one lies in the frame before it."""
        words, frame = [], len(came_by) - 1
        while (arc := came_by[frame][state]) != _NONE:
            if word := self._fst.olabels[arc]:
                words.append(self._graph.words[word - 1])
            state = int(self._fst.sources[arc])
            frame -= int(self._fst.ilabels[arc] != EPS)
        return " ".join(reversed(words))


class _Step:
    """Arcs that are taken at once, by the state they lead to."""

    def __init__(self, chosen: NDArray[np.bool_], graph: DecodingGraph) -> None:
        fst = graph.fst
        arcs = np.flatnonzero(chosen)
        self._arcs = arcs[np.argsort(fst.targets[arcs], kind="stable")]
        self._sources, self._labels = fst.sources[self._arcs], fst.ilabels[self._arcs] - 1
        self._gains = -fst.costs[self._arcs].astype(np.float64)
        self._goals, self._first, self._counts = np.unique(
            fst.targets[self._arcs], return_index=True, return_counts=True
        )

    def take(
        self,
        before: NDArray[np.float64],
        after: NDArray[np.float64],
        arcs: NDArray[np.int64],
        row: NDArray[np.float64] | None = None,
    ) -> None:
        """Raise the scores in ``after`` that an arc raises, and note the arc.

        Args:
            before: (S,) scores of the states.
            after: (S,) the same, changed.
            arcs: (S,) changed.
            row: (N,) scores of the labels; None where nothing is read.
        """
        scores = before[self._sources] + self._gains + (0.0 if row is None else row[self._labels])
        best = np.maximum.reduceat(scores, self._first)
        is_best = np.flatnonzero(scores == np.repeat(best, self._counts))
        place = np.searchsorted(is_best, self._first)  # the first of each state's best arcs
        better = best > after[self._goals]
        arcs[self._goals[better]] = self._arcs[is_best[place[better]]]
        after[self._goals[better]] = best[better]
