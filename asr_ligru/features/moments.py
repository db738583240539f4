"""Second-order sums over frames, kept as the lower triangles of symmetric matrices."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


def affine(feats: Tensor) -> Tensor:
    """Return [x; 1] of each frame (..., D), (..., D + 1) float64."""
    frames = feats.double()
    return torch.cat([frames, torch.ones_like(frames[..., :1])], -1)


def outer(feats: Tensor) -> Tensor:
    """Return the packed products [x; 1][x; 1]' of each frame.

    Args:
        feats: (T, D).

    Returns:
        (T, (D + 1)(D + 2) / 2) float64, in the order of ``pack``; the last of a row is 1.
    """
    columns = affine(feats).T.contiguous()  # (D + 1, T): each product below is of long stretches of memory
    n = len(columns)
    products = columns.new_empty(n * (n + 1) // 2, len(feats))
    for i in range(n):
        torch.mul(columns[i], columns[: i + 1], out=products[i * (i + 1) // 2 : (i + 1) * (i + 2) // 2])
    return products.T


def pack(matrices: Tensor) -> Tensor:
    """Return the lower triangles of (..., n, n) as (..., n (n + 1) / 2): (0, 0), (1, 0), (1, 1), (2, 0), ..."""
    rows, columns = _lower(matrices.shape[-1])
    return matrices[..., rows, columns]


def unpack(packed: Tensor) -> Tensor:
    """Return the symmetric matrices (..., n, n) that ``pack`` made ``packed`` of."""
    n = (math.isqrt(8 * packed.shape[-1] + 1) - 1) // 2
    rows, columns = _lower(n)
    matrices = packed.new_zeros(*packed.shape[:-1], n, n)
    matrices[..., rows, columns] = packed
    matrices[..., columns, rows] = packed
    return matrices


@lru_cache(maxsize=16)
def _lower(n: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.tril_indices(n, n)
    return rows, columns
