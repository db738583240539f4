"""Transducers as arrays, and the few operations of kaldifst that graphs are made with."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_ligru.decode.wfst.libraries import kaldifst

EPS = 0
DELTA = 2.0**-20  # how far weights may differ and count as equal; Kaldi's 2**-10 adds up over a path
Arc = tuple[int, int, int, int, float]

_HEAD = b"\xd6\xfd\xb2\x7e" + b"".join(struct.pack("<i", len(name)) + name for name in (b"const", b"standard"))
_NUMBERS = struct.Struct("<iiQqqq")  # version, flags, properties, start, states, arcs
_VERSION, _EXPANDED = 2, 1
_STATE = np.dtype([("final", "<f4"), ("first", "<u4"), ("arcs", "<u4"), ("in_eps", "<u4"), ("out_eps", "<u4")])
_ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("cost", "<f4"), ("target", "<i4")])


@dataclass(frozen=True, eq=False)
class Fst:
    """A weighted finite-state transducer; costs are negative natural logs.

    Attributes:
        sources: (A,) int32, the state each arc leaves, rising.
        targets: (A,) int32, the state it leads to.
        ilabels: (A,) int32, what it reads; 0 for nothing.
        olabels: (A,) int32, what it writes; 0 for nothing.
        costs: (A,) float32.
        final: (S,) float32, the cost to end in each state; inf where none ends.
        start: the first state.
    """

    sources: NDArray[np.int32]
    targets: NDArray[np.int32]
    ilabels: NDArray[np.int32]
    olabels: NDArray[np.int32]
    costs: NDArray[np.float32]
    final: NDArray[np.float32]
    start: int = 0

    @property
    def num_states(self) -> int:
        """S, the number of states."""
        return len(self.final)

    @property
    def num_arcs(self) -> int:
        """A, the number of arcs."""
        return len(self.sources)

    @classmethod
    def of(cls, arcs: Sequence[Arc], final: Mapping[int, float], num_states: int) -> Fst:
        """Return the transducer with these arcs.

        Args:
            arcs: (source, target, ilabel, olabel, cost) in any order.
            final: state -> cost to end there.
            num_states: S.
        """
        columns = list(zip(*arcs, strict=True)) or [()] * 5
        costs = np.full(num_states, np.inf, np.float32)
        costs[list(final)] = list(final.values())
        return cls.of_columns([np.array(column) for column in columns], costs)

    @classmethod
    def of_columns(cls, columns: Sequence[NDArray[Any]], final: NDArray[np.float32], start: int = 0) -> Fst:
        """Return the transducer with these arcs.

        Args:
            columns: sources, targets, ilabels, olabels and costs (A,), the arcs in any order.
            final: (S,) the cost to end in each state.
            start: the first state.
        """
        order = np.argsort(columns[0], kind="stable")
        sources, targets, ilabels, olabels = (column[order].astype(np.int32) for column in columns[:4])
        return cls(sources, targets, ilabels, olabels, columns[4][order].astype(np.float32), final, start)

    def reading(self, ilabels: NDArray[np.int32]) -> Fst:
        """Return the same with other labels (A,) to read."""
        return replace(self, ilabels=ilabels)

    @classmethod
    def read(cls, fst: Any) -> Fst:
        """Return a transducer of kaldifst."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fst"
            kaldifst().StdConstFst(fst).write(str(path))
            raw = path.read_bytes()
        version, flags, _, start, num_states, num_arcs = _NUMBERS.unpack_from(raw, len(_HEAD))
        assert (raw[: len(_HEAD)], version, flags) == (_HEAD, _VERSION, 0), "another binary format of OpenFst"
        first = len(_HEAD) + _NUMBERS.size
        states = np.frombuffer(raw, _STATE, num_states, first)
        arcs = np.frombuffer(raw, _ARC, num_arcs, first + states.nbytes)
        sources = np.repeat(np.arange(num_states, dtype=np.int32), states["arcs"])
        columns = [sources, *(arcs[name] for name in ("target", "ilabel", "olabel", "cost"))]
        return cls.of_columns(columns, states["final"].copy(), start)

    def const(self) -> Any:
        """Return it as an immutable transducer of kaldifst, which is the faster one to search."""
        states, arcs = np.zeros(self.num_states, _STATE), np.empty(self.num_arcs, _ARC)
        states["final"] = self.final
        counts = np.bincount(self.sources, minlength=self.num_states)
        states["arcs"], states["first"] = counts, np.cumsum(counts) - counts
        states["in_eps"] = np.bincount(self.sources[self.ilabels == EPS], minlength=self.num_states)
        states["out_eps"] = np.bincount(self.sources[self.olabels == EPS], minlength=self.num_states)
        arcs["ilabel"], arcs["olabel"] = self.ilabels, self.olabels
        arcs["cost"], arcs["target"] = self.costs, self.targets
        numbers = _NUMBERS.pack(_VERSION, 0, _EXPANDED, self.start, self.num_states, self.num_arcs)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fst"
            path.write_bytes(_HEAD + numbers + states.tobytes() + arcs.tobytes())
            return kaldifst().StdConstFst.read(str(path))

    def vector(self) -> Any:
        """Return it as a transducer of kaldifst that can be changed."""
        return kaldifst().StdVectorFst(self.const())


def compose(left: Any, right: Any, *, filter: str = "sequence") -> Any:
    """Return what reads with ``left`` and writes with ``right``; the arguments are sorted by it.

    Args:
        left: of kaldifst, can be changed.
        right: the same.
        filter: where both move alone: "sequence" moves ``left`` first, "alt_sequence" ``right``.
    """
    library = kaldifst()
    library.arcsort(left, "olabel")
    library.arcsort(right, "ilabel")
    return library.StdVectorFst(library.compose(left, right, compose_filter=filter))


def compact(fst: Any) -> Fst:
    """Determinize and minimize a transducer in place; the best path of any input keeps its cost."""
    kaldifst().determinize_star(fst, DELTA, use_log=False)
    kaldifst().minimize_encoded(fst, DELTA)
    return Fst.read(fst)


def without(fst: Fst, first_label: int) -> Fst:
    """Return the transducer with input labels from ``first_label`` on read as nothing."""
    return fst.reading(np.where(fst.ilabels >= first_label, np.int32(EPS), fst.ilabels))
