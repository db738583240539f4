"""Linear projections that fit features to Gaussians with diagonal covariances: LDA, and MLLT on top of it.

- LDA finds the directions in which classes, such as the tied states of an alignment, lie far apart compared with their
  spread: spliced frames of 117 features become 40.
- MLLT (also: semi-tied covariance) rotates those so that diagonal covariances fit best. ``mllt.matrix @ lda.matrix`` is
  the projection of the features, and the means of the model move by ``mllt.matrix``.

Statistics are sums over frames in float64: of utterances, of shards, or of ranks (``ranks.add_up``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.moments import affine, pack, unpack
from asr_ligru.features.row_updates import cholesky, invert_quadratic, replace_row

_log = logging.getLogger(__name__)

_SMOOTHING = 1e-3  # share of the mean variance that is added to a singular scatter, as in Kaldi
_FRAMES_PER_FEATURE = 10  # fewer are too little for MLLT, as in Kaldi


@dataclass(frozen=True, eq=False)
class LdaStats:
    """Sums over labelled frames.

    Attributes:
        classes: (C, F + 1) float64: sum of [x; 1] of each class.
        scatter: (F, F) float64: sum of x x'.
    """

    classes: Tensor
    scatter: Tensor

    @classmethod
    def zeros(cls, num_classes: int, dim: int, device: torch.device | str = "cpu") -> LdaStats:
        """Return the statistics of no frame of ``dim`` features."""
        zeros = torch.zeros(num_classes + dim, dim + 1, dtype=torch.float64, device=device)
        return cls(zeros[:num_classes], zeros[num_classes:, :dim])

    def accumulate(self, feats: Tensor, classes: Tensor, frame_weights: Tensor | None = None) -> LdaStats:
        """Return the statistics with frames added.

        Args:
            feats: (T, F).
            classes: (T,) int64, from 0 to C - 1.
            frame_weights: (T,), >= 0, such as 0 in silence; 1 when omitted.

        Raises:
            DataError: the features have another dimension or are not finite, or there is no such class.
        """
        C, dim = self.classes.shape
        if feats.dim() != 2 or feats.shape[1] != dim - 1 or len(classes) != len(feats):
            got = f"features of shape {tuple(feats.shape)} and {len(classes)} classes"
            raise DataError(f"LDA statistics of {dim - 1} features: got {got}")
        if not bool(feats.isfinite().all()):
            raise DataError("features for LDA: NaN or infinity among them")
        if len(classes) and not bool(((classes >= 0) & (classes < C)).all()):
            raise DataError(f"classes for LDA: expected 0 to {C - 1}, got {int(classes.min())} to {int(classes.max())}")
        frames = affine(feats)
        weighted = frames if frame_weights is None else frames * frame_weights.double()[:, None]
        return LdaStats(
            self.classes.index_add(0, classes, weighted), self.scatter + weighted[:, :-1].T @ frames[:, :-1]
        )

    @property
    def num_present(self) -> int:
        """How many of the classes occur."""
        return int((self.classes[:, -1] > 0).sum())

    @property
    def largest_dim(self) -> int:
        """To how many features at most they can be projected: C - 1 directions distinguish C classes that occur."""
        return min(self.num_present - 1, len(self.scatter))

    def covariances(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean (F,), and the covariances (F, F) within the classes and of the classes' means."""
        counts, sums = self.classes[:, -1], self.classes[:, :-1]
        total = counts.sum()
        mean = sums.sum(0) / total
        class_means = sums / counts.clamp(min=torch.finfo(counts.dtype).tiny)[:, None]
        between = sums.T @ class_means / total - torch.outer(mean, mean)
        return mean, self.scatter / total - torch.outer(mean, mean) - between, between

    def __add__(self, other: LdaStats) -> LdaStats:
        return LdaStats(self.classes + other.classes, self.scatter + other.scatter)


@dataclass(frozen=True, eq=False)
class Lda:
    """A projection.

    Attributes:
        matrix: (dim, F) float64. The average covariance of a class becomes I; the largest entry of a row is positive.
        offset: (dim,) what makes the mean of all frames 0, when it is added.
        smoothed: the features were constant or combinations of one another within the classes, and
            variance was added to them.
    """

    matrix: Tensor
    offset: Tensor
    smoothed: bool


def estimate_lda(stats: LdaStats, dim: int) -> Lda:
    """Estimate the projection to ``dim`` features.

    Raises:
        DataError: ``dim`` is more than ``stats.largest_dim``, or nothing varies within the classes.

    Source: Kaldi, src/transform/lda-estimate.cc.
    """
    if not 0 < dim <= stats.largest_dim:
        got = f"{stats.num_present} classes that occur, of {len(stats.scatter)} features"
        what = f"LDA to {dim} features: expected 1 to {stats.largest_dim} from {got}"
        raise DataError(what, fix="ask for fewer features")
    mean, within, between = stats.covariances()
    factor, singular = cholesky(within)
    if singular:
        _log.warning("LDA: features are constant or combinations of one another; variance is added to them")
        smoothing = _SMOOTHING * within.diagonal().mean()
        factor, constant = cholesky(
            within + smoothing * torch.eye(len(within), dtype=within.dtype, device=within.device)
        )
        if constant:
            raise DataError("LDA: no feature varies within the classes")
    whiten = torch.linalg.inv(factor)
    directions = torch.linalg.svd(whiten @ between @ whiten.T).U
    matrix = directions.T[:dim] @ whiten
    matrix = matrix * matrix.gather(1, matrix.abs().argmax(1, keepdim=True)).sign()
    return Lda(matrix, -matrix @ mean, bool(singular))


@dataclass(frozen=True, eq=False)
class MlltStats:
    """Sums over frames.

    With posteriors p_t(m) of Gaussians of mean mu_m and variance v_m: beta = sum p_t(m), and for each feature i
    G_i = sum p_t(m) / v_mi (x_t - mu_m)(x_t - mu_m)'.

    Attributes:
        table: (1 + D D (D + 1) / 2,) float64: beta and the packed G.
        dim: D.
    """

    table: Tensor
    dim: int

    @classmethod
    def zeros(cls, dim: int, device: torch.device | str = "cpu") -> MlltStats:
        """Return the statistics of no frame."""
        return cls(torch.zeros(1 + dim * dim * (dim + 1) // 2, dtype=torch.float64, device=device), dim)

    @property
    def beta(self) -> Tensor:
        """Occupancy, frames, ()."""
        return self.table[0]

    @property
    def G(self) -> Tensor:  # noqa: N802 the name in the literature
        """(D, D (D + 1) / 2) packed."""
        return self.table[1:].view(self.dim, -1)

    def add(self, stats: FmllrStats, sums: Tensor, means: Tensor, inv_vars: Tensor) -> MlltStats:
        """Return the statistics with frames added, which other sums were taken over already.

        Args:
            stats: fMLLR statistics of the frames, from the same model.
            sums: (M, 1 + D or more) occupancy of each Gaussian and sum of x, such as ``GmmStats.table``.
            means: (M, D) of the model.
            inv_vars: (M, D).
        """
        occ, first = sums[:, :1], sums[:, 1 : 1 + self.dim]
        # sum p/v (x - mu)(x - mu)' = sum p/v x x' - [mu s' + s mu' - o mu mu'] / v, s = sum p x, o = sum p
        cross = first - 0.5 * occ * means  # mu cross' + cross mu' is the bracket
        products = pack(means[:, :, None] * cross[:, None] + cross[:, :, None] * means[:, None])  # (M, packed)
        G = stats.G[:, : products.shape[1]] - inv_vars.T @ products
        return MlltStats(self.table + torch.cat([stats.beta[None], G.flatten()]), self.dim)

    def __add__(self, other: MlltStats) -> MlltStats:
        return MlltStats(self.table + other.table, self.dim)


@dataclass(frozen=True, eq=False)
class Mllt:
    """A rotation of features.

    Attributes:
        matrix: (D, D) float64.
        improvement: gain of the auxiliary function, nats over all frames.
        count: frames.
        reason: why the matrix is I; empty where it is not.
    """

    matrix: Tensor
    improvement: float
    count: float
    reason: str = ""


def estimate_mllt(stats: MlltStats, iterations: int = 200) -> Mllt:
    """Estimate the matrix row by row; I where there are too few frames or features that are constant.

    Args:
        stats: sums over frames.
        iterations: sweeps over the rows, >= 0.

    Source: Gales, "Semi-tied covariance matrices for hidden Markov models", 1999; Kaldi, src/transform/mllt.cc.
    """
    beta, G = stats.beta, unpack(stats.G)
    inverse_G, singular = invert_quadratic(G[None])
    M = torch.eye(stats.dim, dtype=torch.float64, device=G.device)[None]
    reason = _reason(stats, bool(singular))
    if reason:
        _log.warning("MLLT: %s", reason)
        return Mllt(M[0], 0.0, float(beta), reason)
    before = _mllt_objective(M[0], G, beta)
    for _ in range(iterations):
        inverse = torch.linalg.inv(M)
        for d in range(stats.dim):
            row = inverse_G[0, d] @ inverse[0, :, d]
            M[0, d] = row * (beta / (inverse[0, :, d] @ row)).sqrt()
            replace_row(inverse, d, M[:, d])
    return Mllt(M[0], float(_mllt_objective(M[0], G, beta) - before), float(beta))


def _reason(stats: MlltStats, singular: bool) -> str:
    if not bool(stats.table.isfinite().all()):
        return "statistics are not finite"
    needed = _FRAMES_PER_FEATURE * stats.dim
    if float(stats.beta) < needed:
        return f"{float(stats.beta):.0f} frames, fewer than {needed}"
    return "features are constant or combinations of one another" if singular else ""


def _mllt_objective(M: Tensor, G: Tensor, beta: Tensor) -> Tensor:
    quadratic = ((G @ M[..., None]).squeeze(-1) * M).sum()
    logabsdet: Tensor = torch.linalg.slogdet(M).logabsdet
    return beta * logabsdet - 0.5 * quadratic
