"""fMLLR transforms from little data: combinations of a few matrices that many speakers' transforms were made of.

A speaker with ``n`` frames gets ``0.2 n`` coefficients instead of all D (D + 1), so that a sentence is enough. The
matrices are learned once, from the training speakers (or from stretches of their speech, when speakers are few).

Source: Povey and Yao, "A basis representation of constrained MLLR transforms for robust adaptation", 2012; Kaldi,
src/transform/basis-fmllr-diag-gmm.cc.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.features.fmllr import (
    BATCH,
    SINGULAR,
    Estimate,
    accept,
    constant,
    gradient,
    identity,
    join,
    log_det,
    quadratic_gradient,
    refusals,
)
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.moments import outer, unpack
from asr_ligru.features.row_updates import cholesky

_log = logging.getLogger(__name__)

MIN_COUNT = 50.0  # Kaldi's; at least this many frames are needed
_MATRICES_PER_FRAME = 0.2
_ITERATIONS = 10
_STEP_ITERATIONS = 3
_MAY_FALL = 1e-4  # nats a frame that the objective may fall in a step
_HALVINGS = 40
_NULL = 1e-10  # share of the largest eigenvalue below which a direction was not seen in training


@dataclass(frozen=True, eq=False)
class BasisStats:
    """Sums over training speakers.

    Attributes:
        table: (n, n) float64, n = D (D + 1): sum of p p' / beta, p the gradient of a speaker's objective at [I 0].
        dim: D.
    """

    table: Tensor
    dim: int

    @classmethod
    def zeros(cls, dim: int, device: torch.device | str = "cpu") -> BasisStats:
        """Return the statistics of no speaker."""
        size = dim * (dim + 1)
        return cls(torch.zeros(size, size, dtype=torch.float64, device=device), dim)

    def accumulate(self, stats: FmllrStats) -> BasisStats:
        """Return the statistics with a batch of speakers added, those without frames or with NaN left out."""
        usable = stats.table.isfinite().all(1) & (stats.beta > 0)
        if skipped := int((~usable).sum()):
            _log.warning(
                "fMLLR basis: %d of %d speakers left out, which have no usable statistics", skipped, len(usable)
            )
        stats = stats[usable]
        start = identity(stats.dim, len(stats.table)).to(stats.table.device)
        p = gradient(start, stats).flatten(1) * stats.beta.rsqrt()[:, None]
        return BasisStats(self.table + p.T @ p, self.dim)

    def __add__(self, other: BasisStats) -> BasisStats:
        return BasisStats(self.table + other.table, self.dim)


@dataclass(frozen=True, eq=False)
class FmllrBasis:
    """Matrices that transforms are combined of, the most useful first.

    Attributes:
        matrices: (N, D, D + 1) float64.
    """

    matrices: Tensor


def preconditioner(weights: Tensor, means: Tensor, inv_vars: Tensor, num_pdfs: int) -> Tensor:
    """Return the expected second derivative (n, n), n = D (D + 1), of a frame's objective at [I 0].

    Args:
        weights: (M,) of all Gaussians of a model; those of a mixture have sum 1.
        means: (M, D).
        inv_vars: (M, D).
        num_pdfs: how many mixtures the Gaussians belong to.
    """
    D = means.shape[1]
    second = unpack(outer(means))  # (M, D + 1, D + 1)
    second.diagonal(dim1=1, dim2=2)[:, :D] += inv_vars.reciprocal()
    blocks = torch.einsum("m,md,mij->dij", weights, inv_vars, second) / num_pdfs
    row = torch.arange(D)
    H = means.new_zeros(D, D + 1, D, D + 1)
    H[row, :, row] = blocks
    H[row[:, None], row, row, row[:, None]] += 1  # of log|det A|
    return H.view(D * (D + 1), -1)


def estimate_basis(stats: BasisStats, preconditioner: Tensor, size: int | None = None) -> FmllrBasis:
    """Find the matrices, only as many as there are directions in which the training speakers differ.

    Args:
        stats: of the training speakers.
        preconditioner: of the model.
        size: how many matrices at most, >= 1.

    Raises:
        DataError: there were no speakers, or the model is singular.
    """
    factor, singular = cholesky(preconditioner)
    if singular:
        raise DataError("fMLLR basis: the Gaussians of the model do not vary in all features")
    half = torch.linalg.solve_triangular(factor, stats.table, upper=False)
    scatter = torch.linalg.solve_triangular(factor, half.T, upper=False)
    values, vectors = torch.linalg.eigh((scatter + scatter.T) / 2)
    keep = values.flip(0) > _NULL * values[-1].clamp(min=torch.finfo(values.dtype).tiny)
    if not bool(keep.any()):
        raise DataError("fMLLR basis: no statistics of training speakers", fix="give it those of some speakers")
    bases = torch.linalg.solve_triangular(factor.T, vectors.flip(1)[:, keep][:, :size], upper=True)
    return FmllrBasis(bases.T.reshape(-1, stats.dim, stats.dim + 1))


def estimate(stats: FmllrStats, basis: FmllrBasis, *, min_count: float = MIN_COUNT) -> Estimate:
    """Estimate the transforms of a batch of speakers; [I 0] where it is impossible, and ``reasons`` says why.

    Args:
        stats: of S speakers.
        basis: of the same dimension.
        min_count: beta must be at least this.

    Raises:
        DataError: the basis is of another dimension.
    """
    parts = []
    for part in (FmllrStats(table, stats.dim) for table in torch.split(stats.table, BATCH)):
        found, _ = combine(part, basis)
        few = {f"fewer than {min_count:g} frames": ~(part.beta >= min_count), SINGULAR: constant(part)}
        parts.append(
            accept(part, identity(part.dim, len(found)).to(found.device), found, "basis", refusals(part) | few)
        )
    return join(parts)


def combine(stats: FmllrStats, basis: FmllrBasis) -> tuple[Tensor, Tensor]:
    """Return the best combinations (S, D, D + 1) and their coefficients (S, N), 0 beyond those a speaker may have."""
    B = basis.matrices.to(stats.table.device)
    if B.shape[1:] != (stats.dim, stats.dim + 1):
        raise DataError(f"fMLLR basis of {B.shape[1]} features, statistics of {stats.dim}")
    sizes = (_MATRICES_PER_FRAME * stats.beta).floor()
    used = torch.arange(len(B), device=B.device) < sizes[:, None]  # (S, N)
    W = identity(stats.dim, len(stats.table)).to(B.device)
    coefficients = torch.zeros_like(used, dtype=torch.float64)
    for _ in range(_ITERATIONS):
        slope = (gradient(W, stats).flatten(1) @ B.flatten(1).T) * used
        delta = (slope @ B.flatten(1)).view_as(W)
        step = _step(stats, W, delta)
        W = W + step[:, None, None] * delta
        coefficients = coefficients + step[:, None] * slope
    return W, coefficients


def _step(stats: FmllrStats, W: Tensor, delta: Tensor) -> Tensor:
    """Return how far (S,) to go along ``delta``, by Newton's method on beta log|det(A + k dA)| + k b - k^2 c / 2."""
    b = (delta * (stats.K - quadratic_gradient(W, stats))).sum((1, 2))
    c = (delta * quadratic_gradient(delta, stats)).sum((1, 2))
    step = torch.zeros_like(b)

    def objective(k: Tensor) -> Tensor:
        return stats.beta * log_det(W + k[:, None, None] * delta) + k * b - 0.5 * k.square() * c

    for _ in range(_STEP_ITERATIONS):
        moved = (W + step[:, None, None] * delta)[..., :-1]
        N = torch.linalg.solve_ex(moved, delta[..., :-1]).result
        first = stats.beta * N.diagonal(dim1=1, dim2=2).sum(1) + b - step * c
        second = -stats.beta * (N * N.mT).sum((1, 2)) - c
        change = -first / second.minimum(-c / 10)
        before = objective(step)
        for _ in range(_HALVINGS):
            too_far = objective(step + change) - before < -_MAY_FALL * stats.beta
            if not too_far.any():
                break
            change = torch.where(too_far, change / 2, change)
        step = step + change.nan_to_num(nan=0.0)
    return step
