"""The compiled Viterbi search through many graphs, divided among threads."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_int64, c_void_p
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from asr_ligru.ops.fused_cpu.library import compiled
from asr_ligru.ops.fused_cpu.pool import run_all

_INTEGERS = ("first_state", "first_arc", "source", "pdf", "column")
_LOG_PROBS = ("cost", "stay", "initial", "final", "score")


class Search(ctypes.Structure):
    """Graphs side by side; every field is explained in csrc/viterbi.h."""

    _fields_ = (
        ("first_state", c_void_p),
        ("first_frame", c_void_p),
        ("first_arc", c_void_p),
        ("source", c_void_p),
        ("cost", c_void_p),
        ("pdf", c_void_p),
        ("column", c_void_p),
        ("stay", c_void_p),
        ("initial", c_void_p),
        ("final", c_void_p),
        ("score", c_void_p),
        ("scores", c_int64),
        ("path", c_void_p),
        ("best", c_void_p),
    )


def best_paths(lens: Sequence[int], **tensors: Tensor) -> tuple[list[Tensor], Tensor]:
    """Find the best path of each graph.

    Args:
        lens: U numbers of frames, each >= 1.
        tensors: the other inputs of csrc/viterbi.h by name, in the shapes given there, on the CPU: numbers of states,
            arcs and columns, and natural log-probabilities.

    Returns:
        One (T,) int64 for each graph, numbers of its own states, and (U,) float64 log-probabilities.

    Raises:
        KeyError: a tensor is not given.
        MemoryError: none is left for the search.
    """
    first_frame = torch.tensor([0, *lens]).cumsum(0)
    path, best = torch.empty(int(first_frame[-1]), dtype=torch.int64), torch.empty(len(lens), dtype=torch.float64)
    held = {name: tensors[name].to(torch.int64).contiguous() for name in _INTEGERS}
    held |= {name: tensors[name].to(torch.float64).contiguous() for name in _LOG_PROBS}
    held |= {"first_frame": first_frame, "path": path, "best": best}
    search = Search(scores=held["score"].shape[1], **{name: tensor.data_ptr() for name, tensor in held.items()})
    places = torch.linspace(0, len(lens), 1 + min(torch.get_num_threads(), len(lens))).long().tolist()
    search_some = compiled().asr_ligru_viterbi
    run_all([partial(search_some, ctypes.byref(search), begin, end) for begin, end in pairwise(places)])
    return list(torch.split(path, list(lens))), best
