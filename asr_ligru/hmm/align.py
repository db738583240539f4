"""Forced alignment: the best path through each transcript, many utterances at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.graph import PhoneGraph, Phones, StateGraph, expand, transcript_graph
from asr_ligru.hmm.model import AcousticModel, select
from asr_ligru.hmm.tree import ContextTree
from asr_ligru.hmm.viterbi import Trellis, viterbi

ACOUSTIC_SCALE = 0.1  # of Kaldi's recipes, and so is that of the transitions
TRANSITION_SCALE = 0.1
_BATCH_CELLS = 1 << 22  # frames times states searched together

Transcript = Sequence[Sequence[Phones]]  # the pronunciations of each word in turn


@dataclass(frozen=True)
class _Batch:
    indices: list[int]
    phones: list[PhoneGraph]
    states: list[StateGraph]
    trellis: Trellis
    lens: list[int]


class Aligner:
    """Aligns the same utterances again and again while a model grows.

    Args:
        transcripts: pronunciations of the words of each utterance.
        tree: of the models; its graphs are made once.
        lens: frames of each utterance.
    """

    def __init__(self, transcripts: Sequence[Transcript], tree: ContextTree, lens: Sequence[int]) -> None:
        self._size = len(transcripts)
        self._batches = []
        group: list[tuple[int, PhoneGraph, StateGraph]] = []
        cells = 0
        for index in sorted(range(len(lens)), key=lambda i: -lens[i]):
            phones = transcript_graph(transcripts[index])
            states = expand(phones, tree)
            cells += lens[index] * len(states)
            if group and cells > _BATCH_CELLS:
                self._batches.append(_batch(group, lens))
                group, cells = [], lens[index] * len(states)
            group.append((index, phones, states))
        if group:
            self._batches.append(_batch(group, lens))

    def align(self, model: AcousticModel, feats: Sequence[Tensor]) -> list[Alignment | None]:
        """Return the best alignment of each utterance, None where there is none (fewer frames than states).

        Args:
            model: with the tree of this aligner.
            feats: (T, D) of each utterance.
        """
        found: list[Alignment | None] = [None] * self._size
        for batch in self._batches:
            scores, columns = _scores(batch, model, feats)
            paths = viterbi(batch.trellis, model.transitions, scores, columns, batch.lens, TRANSITION_SCALE)
            for i, index in enumerate(batch.indices):
                score = float(paths.scores[i])
                if score > -torch.inf:
                    found[index] = Alignment.of_path(paths.states[i], batch.states[i], batch.phones[i], score)
        return found


def _batch(group: list[tuple[int, PhoneGraph, StateGraph]], lens: Sequence[int]) -> _Batch:
    indices, phones, states = (list(column) for column in zip(*group, strict=True))
    return _Batch(indices, phones, states, Trellis(states), [lens[i] for i in indices])


def _scores(batch: _Batch, model: AcousticModel, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the scores (T, C) of the tied states that occur in each utterance, and the column (S,) of each state."""
    occurring = [torch.unique(graph.pdfs, return_inverse=True) for graph in batch.states]
    firsts = torch.tensor([0, *(len(pdfs) for pdfs, _ in occurring)]).cumsum(0).tolist()
    scores = torch.zeros(batch.lens[0], firsts[-1], dtype=torch.float64)
    for index, (pdfs, _), first in zip(batch.indices, occurring, firsts, strict=False):
        log_likes = select(model.gmms, pdfs).log_likes(feats[index])
        scores[: len(log_likes), first : first + len(pdfs)] = ACOUSTIC_SCALE * log_likes
    return scores, torch.cat([columns + first for (_, columns), first in zip(occurring, firsts, strict=False)])
