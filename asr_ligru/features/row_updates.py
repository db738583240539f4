"""Matrices that are improved one row at a time, each row by its own quadratic form (fMLLR, MLLT)."""

from __future__ import annotations

import torch
from torch import Tensor

# A variable of which this share is left when those before it have explained it is constant, or their combination.
_SINGULAR = 1e-12


def cholesky(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Factor symmetric positive definite matrices.

    Args:
        matrices: (..., n, n) float64.

    Returns:
        Lower triangular factors (..., n, n), and which of the matrices (...) are singular to working precision; the
        factors of those are I.
    """
    variances = matrices.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(variances > 0, variances, 1.0).sqrt()
    factor, info = torch.linalg.cholesky_ex(matrices / (scale[..., :, None] * scale[..., None, :]))
    left = factor.diagonal(dim1=-2, dim2=-1).square()
    singular = (info != 0) | ~(left > _SINGULAR).all(-1)
    unit = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    return torch.where(singular[..., None, None], unit, factor * scale[..., :, None]), singular


def invert_quadratic(G: Tensor) -> tuple[Tensor, Tensor]:
    """Invert symmetric positive definite matrices.

    Args:
        G: (S, D, n, n) float64.

    Returns:
        The inverses (S, D, n, n), and which of the S have a matrix that is singular to working precision; its inverse
        is I.
    """
    factor, singular = cholesky(G)
    return torch.cholesky_inverse(factor), singular.any(-1)


def replace_row(inverse: Tensor, row: int, values: Tensor) -> None:
    """Change the inverses of matrices, in place, as if a row of each matrix were replaced.

    Args:
        inverse: (S, D, D) A^-1.
        row: which row of A.
        values: (S, D) the new row.

    Source: Sherman and Morrison, "Adjustment of an inverse matrix corresponding to a change in one element of a given
        matrix", 1950.
    """
    change = (values[:, None] @ inverse).squeeze(1)  # of a row that stays as it is: the unit vector
    scale = change[:, row].reciprocal()
    change[:, row] -= 1
    inverse.baddbmm_(inverse[:, :, row, None] * scale[:, None, None], change[:, None], alpha=-1)
