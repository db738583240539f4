"""Statistics that an fMLLR transform of a speaker is estimated from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.features.moments import affine, outer, pack, unpack

_CHUNK_FRAMES = 4096  # packed products made at a time: 27 MiB in 40 dimensions


@dataclass(frozen=True, eq=False)
class FmllrStats:
    """Sums over the frames of a speaker, or of several at once.

    With the posteriors p_t(m) of Gaussians of mean mu_m and variance v_m, times the weight of the frame, and
    a_t = sum_m p_t(m) mu_m / v_m, b_t = sum_m p_t(m) / v_m:

        beta = sum p_t(m)        K = sum_t a_t [x_t; 1]'        G_i = sum_t b_ti [x_t; 1][x_t; 1]'

    Attributes:
        table: (..., 1 + D (D + 1) + D (D + 1)(D + 2) / 2) float64: beta, K and the packed G one after the other;
            leading dimensions are speakers. Sums over utterances, shards or ranks are sums of tables.
        dim: D.

    Source: Gales, "Maximum likelihood linear transformations for HMM-based speech recognition", 1998, equations 31, 32.
    """

    table: Tensor
    dim: int

    @classmethod
    def zeros(cls, dim: int, *speakers: int, device: torch.device | str = "cpu") -> FmllrStats:
        """Return the statistics of no frame, of one speaker or of a batch, where the features will be."""
        size = 1 + dim * (dim + 1) * (dim + 4) // 2
        return cls(torch.zeros(*speakers, size, dtype=torch.float64, device=device), dim)

    @classmethod
    def of(cls, beta: Tensor, K: Tensor, G: Tensor) -> FmllrStats:
        """Put beta (...), K (..., D, D + 1) and packed G (..., D, (D + 1)(D + 2) / 2) together."""
        return cls(torch.cat([beta[..., None], K.flatten(-2), G.flatten(-2)], -1).double(), K.shape[-2])

    @classmethod
    def stack(cls, speakers: Iterable[FmllrStats]) -> FmllrStats:
        """Make one batch of several speakers' statistics of the same dimension."""
        parts = list(speakers)
        return cls(torch.stack([stats.table for stats in parts]), parts[0].dim)

    @classmethod
    def of_moments(cls, moments: Tensor, means: Tensor, inv_vars: Tensor) -> FmllrStats:
        """Make the statistics of one speaker from full second-order sums of each Gaussian.

        Args:
            moments: (M, (D + 1)(D + 2) / 2): posteriors' transpose times ``outer(feats)``. They do not depend on the
                means and variances, and take less work than ``accumulate`` if there are fewer Gaussians than features.
            means: (M, D).
            inv_vars: (M, D).
        """
        dim = means.shape[1]
        sums = moments[:, -dim - 1 :]  # (M, D + 1): the last row of each matrix, sum of [x; 1]
        return cls.of(moments[:, -1].sum(), (means * inv_vars).T @ sums, inv_vars.T @ moments)

    @property
    def beta(self) -> Tensor:
        """(...) occupancy, frames."""
        return self.table[..., 0]

    @property
    def K(self) -> Tensor:  # noqa: N802 the name in the literature
        """(..., D, D + 1) linear statistics."""
        flat = self.table[..., 1 : 1 + self.dim * (self.dim + 1)]
        return flat.view(*flat.shape[:-1], self.dim, self.dim + 1)

    @property
    def G(self) -> Tensor:  # noqa: N802
        """(..., D, (D + 1)(D + 2) / 2) quadratic statistics, packed."""
        flat = self.table[..., 1 + self.dim * (self.dim + 1) :]
        return flat.view(*flat.shape[:-1], self.dim, -1)

    def __add__(self, other: FmllrStats) -> FmllrStats:
        return FmllrStats(self.table + other.table, self.dim)

    def __getitem__(self, speakers: Tensor) -> FmllrStats:
        """Return the part of a batch that an index or a mask selects."""
        return FmllrStats(self.table[speakers], self.dim)

    def accumulate(
        self,
        feats: Tensor,
        post: Tensor,
        means: Tensor,
        inv_vars: Tensor,
        *,
        gauss: Tensor | None = None,
        frame_weights: Tensor | None = None,
    ) -> FmllrStats:
        """Return the statistics of one speaker with frames added.

        Args:
            feats: (T, D).
            post: (T, M) posteriors of all Gaussians, or (T, K) of those in ``gauss``.
            means: (M, D) of the model to adapt to.
            inv_vars: (M, D).
            gauss: (T, K) int64, which Gaussians the columns of ``post`` belong to, frame by frame.
            frame_weights: (T,), >= 0, such as 0.01 in silence; 1 when omitted.

        Raises:
            DataError: the arrays are not of one size, features are not finite, or weights are negative.
        """
        self._check(feats, post, means, frame_weights)
        weighted = post.double() if frame_weights is None else post.double() * frame_weights.double()[:, None]
        table = self.table.clone()
        grown = FmllrStats(table, self.dim)
        for part in torch.arange(len(feats), device=feats.device).split(_CHUNK_FRAMES):  # type: ignore[no-untyped-call]
            x, p = feats[part], weighted[part]
            a, b = _frame_terms(p, means * inv_vars, inv_vars, None if gauss is None else gauss[part])
            table[0] += p.sum()
            grown.K.add_(a.T @ affine(x))
            grown.G.add_(b.T @ outer(x))
        return grown

    def transformed(self, transform: Tensor) -> FmllrStats:
        """Return the statistics that the features A x + b would have given, with the same posteriors.

        Args:
            transform: (..., D, D + 1) [A b].
        """
        T = square(transform)
        G = T[..., None, :, :] @ unpack(self.G) @ T[..., None, :, :].mT
        return FmllrStats.of(self.beta, self.K @ T.mT, pack(G))

    def _check(self, feats: Tensor, post: Tensor, means: Tensor, frame_weights: Tensor | None) -> None:
        if feats.dim() != 2 or feats.shape[1] != self.dim or means.shape[1] != self.dim:
            got = f"features of shape {tuple(feats.shape)} and means of shape {tuple(means.shape)}"
            raise DataError(f"fMLLR statistics of {self.dim} dimensions: got {got}")
        lengths = {len(feats), len(post), *([] if frame_weights is None else [len(frame_weights)])}
        if len(lengths) > 1:
            raise DataError(f"features, posteriors and frame weights of one length expected, got {sorted(lengths)}")
        if not bool(feats.isfinite().all()):
            raise DataError("features for fMLLR: NaN or infinity among them")
        if frame_weights is not None and not bool((frame_weights >= 0).all()):
            raise DataError("frame weights for fMLLR: expected 0 or more")


def _frame_terms(p: Tensor, scaled: Tensor, inv_vars: Tensor, gauss: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return a_t and b_t, (T, D) each."""
    if gauss is None:
        return p @ scaled, p @ inv_vars
    return (p[:, None] @ scaled[gauss]).squeeze(1), (p[:, None] @ inv_vars[gauss]).squeeze(1)


def square(transform: Tensor) -> Tensor:
    """Return the transforms (..., D, D + 1) with a last row [0 ... 0 1]."""
    last = torch.zeros_like(transform[..., :1, :])
    last[..., -1] = 1
    return torch.cat([transform, last], -2)
