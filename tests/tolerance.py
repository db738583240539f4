"""The one place that says how close two results must be."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

RELATIVE = {torch.float64: 1e-10, torch.float32: 1e-5}


def assert_close(got: Tensor, expected: Tensor, name: str = "result") -> None:
    """Compare in relative norm, at the tolerance of ``got``'s precision: 1e-10 in float64, 1e-5 in float32.

    NaN and infinity fail, also when both sides have them. Of an all-zero expectation the distance counts as it is.
    """
    assert got.shape == expected.shape, f"{name}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}"
    x, y = got.detach().double(), expected.detach().double()
    distance = float(torch.linalg.vector_norm(x - y))
    scale = float(torch.linalg.vector_norm(y)) or 1.0
    limit = RELATIVE[got.dtype]
    assert distance <= limit * scale, f"{name} differs by {distance / scale:.1e} relative, limit {limit:.0e}"


def assert_all_close(got: Iterable[Tensor], expected: Iterable[Tensor], names: Iterable[str]) -> None:
    """Compare lists of tensors one by one."""
    for x, y, name in zip(got, expected, names, strict=True):
        assert_close(x, y, name)
