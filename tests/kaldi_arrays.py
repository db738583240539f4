"""Arrays that Kaldi computed, and the check that every one of a file is reproduced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# How far off results may be. Kaldi in double precision differs by rounding only; its other build, which people use,
# keeps posteriors and terms of frames in float32.
DOUBLE = 1e-10
FLOAT = {"statistics": 1e-5, "transforms": 1e-4, "objective": 1e-4}


@lru_cache
def _load(path: Path) -> dict[str, Tensor]:
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays if arrays[name].dtype.kind != "U"}


class KaldiArrays:
    """The arrays of one file; remembers which ones were taken as input."""

    def __init__(self, shared: Path, file: str) -> None:
        self._arrays = _load(shared / "oracles" / "fmllr" / file)
        self.names = frozenset(self._arrays)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.taken.add(name)
        return self._arrays[name]

    def check_all(
        self,
        got: Mapping[str, Tensor],
        tolerance: Mapping[str, float],
        *,
        inputs: str,
        not_compared: str = "$^",
    ) -> None:
        """Compare results with the arrays of their names, and account for all other arrays.

        Args:
            got: results.
            tolerance: pattern and tolerance, relative to the largest entry; the first that is found in a name counts.
            inputs: pattern of the names of arrays that results were computed from: each of them was taken.
            not_compared: pattern of the names of those that are meaningless.
        """
        unknown = got.keys() - self.names
        assert not unknown, f"Kaldi has no such arrays: {sorted(unknown)}"
        rest = {name for name in self.names - got.keys() if not re.search(not_compared, name)}
        unused = {name for name in rest if name not in self.taken or not re.search(inputs, name)}
        assert not unused, f"not reproduced, and no input either: {sorted(unused)}"
        problems = [problem for name in got if (problem := self._difference(name, got[name], tolerance))]
        assert not problems, "\n".join(problems)

    def _difference(self, name: str, got: Tensor, tolerance: Mapping[str, float]) -> str:
        expected = self._arrays[name].double()
        if got.shape != expected.shape:
            return f"{name}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}"
        limit = next(limit for pattern, limit in tolerance.items() if re.search(pattern, name))
        difference = float((got - expected).abs().max()) / (float(expected.abs().max()) or 1.0)
        return "" if difference <= limit else f"{name}: {difference:.1e}, at most {limit:.0e} expected"
