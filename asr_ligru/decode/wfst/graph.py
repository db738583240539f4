"""A graph that can be searched, with what its labels mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_ligru.decode.wfst.fst import Fst
from asr_ligru.errors import DataError


@dataclass(frozen=True, eq=False)
class DecodingGraph:
    """Topology, lexicon and language model composed.

    Attributes:
        fst: reads a label a frame, writes numbers of words.
        columns: (N,) int64, which score of a frame label n + 1 has.
        first: (N,) bool, whether that label is the first frame of a word.
        heard: (N,) bool, whether it is part of a word at all: no blank, no silence, no boundary.
        words: the word of number n + 1.
        num_scores: scores in a frame: V, or tied states.
        left_out: words of the language model that cannot be recognised -> n-grams lost with them.
    """

    fst: Fst
    columns: NDArray[np.int64]
    first: NDArray[np.bool_]
    heard: NDArray[np.bool_]
    words: tuple[str, ...]
    num_scores: int
    left_out: dict[str, int]

    def head(self) -> dict[str, Any]:
        """Return the JSON values that ``of`` makes an equal graph from, with ``tensors``."""
        return {
            "start": self.fst.start,
            "words": list(self.words),
            "num_scores": self.num_scores,
            "left_out": self.left_out,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the numbers of the graph."""
        parts = [(self.fst, name) for name in _fst_arrays()] + [(self, name) for name in ("columns", "first", "heard")]
        return {name: torch.from_numpy(getattr(part, name)) for part, name in parts}

    @classmethod
    def of(cls, head: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> DecodingGraph:
        """Return the graph that these parts were taken from.

        Raises:
            DataError: they do not fit together: a search could read beyond its memory.
        """
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
        fst = Fst(**{name: arrays[name] for name in _fst_arrays()}, start=int(head["start"]))
        words, left_out = tuple(head["words"]), dict(head["left_out"])
        columns, first, heard = arrays["columns"], arrays["first"], arrays["heard"]
        graph = cls(fst, columns, first, heard, words, int(head["num_scores"]), left_out)
        _check(graph)
        return graph


def _fst_arrays() -> list[str]:
    return [field.name for field in fields(Fst) if field.name != "start"]


def _check(graph: DecodingGraph) -> None:
    fst, states = graph.fst, graph.fst.num_states
    limits: list[tuple[NDArray[Any], int]] = [
        (fst.sources, states),
        (fst.targets, states),
        (fst.ilabels, len(graph.columns) + 1),
        (fst.olabels, len(graph.words) + 1),
        (graph.columns, graph.num_scores),
        (np.array([fst.start]), states),
    ]
    inside = all(bool(((array >= 0) & (array < limit)).all()) for array, limit in limits)
    lengths = {len(array) for array in (fst.sources, fst.targets, fst.ilabels, fst.olabels, fst.costs)}
    rising = bool((np.diff(fst.sources) >= 0).all())
    if not (inside and rising and len(lengths) == 1):
        raise DataError("the parts of a decoding graph do not fit together", fix="delete it; it is made again")
