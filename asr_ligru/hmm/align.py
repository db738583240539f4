"""Forced alignment: the best path through each transcript."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.graph import Phones, transcript_graph
from asr_ligru.hmm.model import StateScorer
from asr_ligru.hmm.search import PathSearch
from asr_ligru.hmm.tree import ContextTree

Transcript = Sequence[Sequence[Phones]]  # the pronunciations of each word in turn


class Aligner:
    """Aligns the same utterances again and again while a model grows.

    Args:
        transcripts: pronunciations of the words of each utterance.
        tree: of the models; graphs are made once.
        lens: frames of each utterance.
        near: (T, K) phones that each frame of an utterance may belong to (``phones_near``); None where not known.
    """

    def __init__(
        self,
        transcripts: Sequence[Transcript],
        tree: ContextTree,
        lens: Sequence[int],
        near: Sequence[Tensor | None] | None = None,
    ) -> None:
        pauses = tree.topology.pauses
        self._search = PathSearch([transcript_graph(words, pauses) for words in transcripts], tree, lens, near)

    def align(self, model: StateScorer, feats: Sequence[Tensor]) -> list[Alignment | None]:
        """Return the best alignment of each utterance, None where there is none (fewer frames than states).

        Args:
            model: with the tree of this aligner.
            feats: (T, D) of each utterance.
        """
        return self._search.best(model, feats)
