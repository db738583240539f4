"""Mixtures of Gaussians with diagonal covariances: one mixture, and the statistics it is trained from.

Likelihoods and statistics are products with the same extended frames [1, x, x^2]: a row [gconst, mu/var, -1/(2 var)]
for each Gaussian gives its log-likelihood, and the posteriors' transpose gives [occupancy, sum x, sum x^2]. All of it
is float64, on the device of the model.

- ``DiagGmm``: one mixture. ``component_log_likes``, ``log_likes``, ``posteriors``.
- ``GmmStats``: what an update needs, for any number of Gaussians; add them with ``+``, all-reduce ``table`` over ranks.
- ``gmm_set.GmmSet``: the mixtures of all pdfs of a GMM-HMM in one flat ``DiagGmm``. ``log_likes(feats)`` (T, P),
  ``posteriors_within(feats, pdf_ids)``, ``accumulate(feats, pdf_ids, frame_weights)``.
- ``gmm_update``: ``update(gmms, stats, options)``, ``split_targets(occs, total)``, ``split(gmms, targets, generator)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from asr_ligru.errors import DataError


def extend(feats: Tensor) -> Tensor:
    """Return [1, x, x^2] of each frame (..., D), (..., 1 + 2 D) float64."""
    frames = feats.double()
    return torch.cat([torch.ones_like(frames[..., :1]), frames, frames.square()], -1)


@dataclass(frozen=True, eq=False)
class DiagGmm:
    """M Gaussians with diagonal covariances.

    Attributes:
        weights: (M,) float64, > 0, of sum 1 (within each pdf where several share the array).
        means: (M, D) float64.
        inv_vars: (M, D) float64, > 0.
    """

    weights: Tensor
    means: Tensor
    inv_vars: Tensor

    @classmethod
    def of_sums(cls, sums: Tensor, min_variance: float = 0.001) -> DiagGmm:
        """Return one Gaussian with the mean and variance of frames.

        Args:
            sums: (1 + 2 D,) float64 of the extended frames.
            min_variance: variances are at least this.
        """
        mean, square = (sums[1:] / sums[0]).chunk(2)
        variance = (square - mean.square()).clamp_(min=min_variance)
        return cls(sums.new_ones(1), mean[None], variance.reciprocal()[None])

    @property
    def num_gauss(self) -> int:
        """M, the number of Gaussians."""
        return self.means.shape[0]

    @property
    def dim(self) -> int:
        """D, the number of features."""
        return self.means.shape[1]

    @property
    def variances(self) -> Tensor:
        """(M, D) variances."""
        return self.inv_vars.reciprocal()

    @cached_property
    def gconsts(self) -> Tensor:
        """(M,) what does not depend on the frame in each weighted Gaussian's log-likelihood."""
        normalizer = self.dim * math.log(2 * math.pi) - self.inv_vars.log().sum(1)
        return self.weights.log() - 0.5 * (normalizer + (self.means.square() * self.inv_vars).sum(1))

    @cached_property
    def coefficients(self) -> Tensor:
        """(M, 1 + 2 D) rows whose product with an extended frame is a log-likelihood."""
        return torch.cat([self.gconsts[:, None], self.means * self.inv_vars, -0.5 * self.inv_vars], 1)

    def component_log_likes(self, feats: Tensor) -> Tensor:
        """Return log(weight * density) of each Gaussian at each frame.

        Args:
            feats: (T, D) of any floating type.

        Returns:
            (T, M) float64, natural log.

        Raises:
            DataError: the features have another dimension or are not finite.
        """
        self.check(feats)
        return extend(feats) @ self.coefficients.T

    def log_likes(self, feats: Tensor) -> Tensor:
        """Return the log-likelihood (T,) of each frame of ``feats`` (T, D) under the mixture."""
        return self.component_log_likes(feats).logsumexp(1)

    def posteriors(self, feats: Tensor) -> tuple[Tensor, Tensor]:
        """Return the Gaussians' posteriors (T, M) and the log-likelihoods (T,) of ``feats`` (T, D)."""
        log_likes = self.component_log_likes(feats)
        return log_likes.softmax(1), log_likes.logsumexp(1)

    def check(self, feats: Tensor) -> None:
        """Raise ``DataError`` unless ``feats`` is (T, D) and finite."""
        if feats.dim() != 2 or feats.shape[1] != self.dim:
            raise DataError(f"features for a model of {self.dim} a frame: got an array of shape {tuple(feats.shape)}")
        if not bool(feats.isfinite().all()):
            raise DataError("features for a model: NaN or infinity among them")


@dataclass(frozen=True, eq=False)
class GmmStats:
    """Sums over frames, weighted by posteriors.

    Attributes:
        table: (M, 1 + 2 D) float64: occupancy, sum of x and sum of x^2 of each Gaussian. Sums over shards or ranks are
            sums of tables.
    """

    table: Tensor

    @classmethod
    def zeros(cls, gmm: DiagGmm) -> GmmStats:
        """Return the statistics of no frame."""
        return cls(torch.zeros_like(gmm.coefficients))

    @property
    def occ(self) -> Tensor:
        """(M,) occupancies, frames."""
        return self.table[:, 0]

    @property
    def mean_acc(self) -> Tensor:
        """(M, D) sums of x."""
        return self.table[:, 1 : 1 + self.table.shape[1] // 2]

    @property
    def var_acc(self) -> Tensor:
        """(M, D) sums of x^2."""
        return self.table[:, 1 + self.table.shape[1] // 2 :]

    def accumulate(self, feats: Tensor, post: Tensor) -> GmmStats:
        """Return the statistics with frames added.

        Args:
            feats: (T, D).
            post: (T, M) posteriors, times the weight of the frame if it has one.
        """
        return GmmStats(self.table + post.T @ extend(feats))

    def __add__(self, other: GmmStats) -> GmmStats:
        return GmmStats(self.table + other.table)
