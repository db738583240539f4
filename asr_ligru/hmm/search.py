"""The best path of each utterance through its graph of phones, many utterances at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.graph import PhoneGraph, StateGraph, expand
from asr_ligru.hmm.known_times import costs_outside
from asr_ligru.hmm.model import StateScorer
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.hmm.viterbi import Trellis, viterbi

ACOUSTIC_SCALE = 0.1  # of Kaldi's recipes, and so is that of the transitions
TRANSITION_SCALE = 0.1
_BATCH_CELLS = 1 << 23  # frames times states searched together


@dataclass(frozen=True)
class _Batch:
    indices: list[int]
    phones: list[PhoneGraph]
    states: list[StateGraph]
    lens: list[int]


class PathSearch:
    """Searches the same utterances again and again while a model grows.

    Args:
        graphs: of each utterance; the same graph may stand for several.
        tree: of the models; states are made once.
        lens: frames of each utterance, >= 1.
        near: (T, K) phones that each frame of an utterance may belong to (``phones_near``); None where not known.
    """

    def __init__(
        self,
        graphs: Sequence[PhoneGraph],
        tree: ContextTree,
        lens: Sequence[int],
        near: Sequence[Tensor | None] | None = None,
    ) -> None:
        self._size = len(graphs)
        self._near = [None] * len(graphs) if near is None else near
        self._batches = []
        expanded: dict[int, StateGraph] = {}
        group: list[tuple[int, PhoneGraph, StateGraph]] = []
        cells = 0
        for index in sorted(range(len(lens)), key=lambda i: -lens[i]):
            phones = graphs[index]
            if id(phones) not in expanded:
                expanded[id(phones)] = expand(phones, tree)
            states = expanded[id(phones)]
            cells += lens[index] * len(states)
            if group and cells > _BATCH_CELLS:
                self._batches.append(_batch(group, lens))
                group, cells = [], lens[index] * len(states)
            group.append((index, phones, states))
        if group:
            self._batches.append(_batch(group, lens))

    def best(
        self, model: StateScorer, feats: Sequence[Tensor], acoustic_scale: float = ACOUSTIC_SCALE
    ) -> list[Alignment | None]:
        """Return the best path of each utterance, None where there is none (fewer frames than states).

        Args:
            model: with the tree of this search.
            feats: (T, D) of each utterance.
            acoustic_scale: factor on the acoustic log-likelihoods, > 0.
        """
        found: list[Alignment | None] = [None] * self._size
        for batch in self._batches:
            scores, columns = _scores(batch, model, feats, self._near)
            scores *= acoustic_scale
            trellis = Trellis(batch.states)  # not kept: it holds a large graph once for each utterance
            paths = viterbi(trellis, model.transitions, scores, columns, batch.lens, TRANSITION_SCALE)
            for i, index in enumerate(batch.indices):
                score = float(paths.scores[i])
                if score > -torch.inf:
                    found[index] = Alignment.of_path(paths.states[i], batch.states[i], batch.phones[i], score)
        return found


def _batch(group: list[tuple[int, PhoneGraph, StateGraph]], lens: Sequence[int]) -> _Batch:
    indices, phones, states = (list(column) for column in zip(*group, strict=True))
    return _Batch(indices, phones, states, [lens[i] for i in indices])


def _scores(
    batch: _Batch, model: StateScorer, feats: Sequence[Tensor], near: Sequence[Tensor | None]
) -> tuple[Tensor, Tensor]:
    """Return log-likelihoods (T, C) of the tied states in each utterance's graph, and each state's column (S,)."""
    occurring = [torch.unique(graph.pdfs.clamp(min=0), return_inverse=True) for graph in batch.states]
    firsts = torch.tensor([0, *(len(pdfs) for pdfs, _ in occurring)]).cumsum(0).tolist()
    scores = torch.zeros(batch.lens[0], firsts[-1], dtype=torch.float64)
    for index, (pdfs, _), first in zip(batch.indices, occurring, firsts, strict=False):
        log_likes = model.log_likes(feats[index], pdfs)
        if (times := near[index]) is not None:
            log_likes = log_likes - costs_outside(times, model.tree.phone_of[pdfs])
        scores[: len(log_likes), first : first + len(pdfs)] = log_likes
    return scores, torch.cat([columns + first for (_, columns), first in zip(occurring, firsts, strict=False)])
