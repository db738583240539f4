"""fMLLR (constrained MLLR): one affine transform y = A x + b of the features for each speaker.

W = [A b] is a (D, D + 1) matrix. It maximises the likelihood of the transformed features, by the auxiliary function

    Q(W) = beta log|det A| + tr(W K') - 1/2 sum_i w_i G_i w_i'

of the statistics in ``fmllr_stats``. Speakers are a batch: (S, D, D + 1). All of it is float64, because G is badly
conditioned where features are correlated.

Source: Gales, "Maximum likelihood linear transformations for HMM-based speech recognition", 1998, section 2.3 and
appendix B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.errors import ConfigError
from asr_ligru.features.fmllr_stats import FmllrStats, square
from asr_ligru.features.moments import unpack
from asr_ligru.features.row_updates import invert_quadratic, replace_row

MIN_COUNT = 500.0  # Kaldi's; more than this is needed
BATCH = 64  # speakers taken together: their G take 35 MiB in 40 dimensions
_CONSTANT = 1e-12  # share of the mean square that is left to the variance of a constant feature
_MAY_FALL = 1e-3  # relative fall of the objective that passes as rounding, as in Kaldi


@dataclass(frozen=True, eq=False)
class Estimate:
    """Transforms of a batch of S speakers, and what is to be known about each.

    Attributes:
        transforms: (S, D, D + 1) float64, always finite.
        improvement: (S,) gain of the auxiliary function, nats over all frames.
        count: (S,) beta, frames.
        kinds: what each speaker got: "full", "diag", "offset", "basis" or "none" (the start transform).
        reasons: why it is not what was asked for; empty where it is.
    """

    transforms: Tensor
    improvement: Tensor
    count: Tensor
    kinds: tuple[str, ...]
    reasons: tuple[str, ...]

    def records(self, speakers: Sequence[str]) -> list[dict[str, str | float]]:
        """Return what is to be known about each speaker, one line of a table each; the improvement in nats a frame."""
        gain = (self.improvement / self.count.clamp(min=1)).tolist()
        columns = (speakers, self.kinds, self.count.tolist(), gain, log_det(self.transforms).tolist(), self.reasons)
        names = ("speaker", "kind", "frames", "improvement", "log_det", "reason")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def identity(dim: int, *speakers: int) -> Tensor:
    """Return [I 0], (..., D, D + 1) float64."""
    return torch.eye(dim, dim + 1, dtype=torch.float64).expand(*speakers, -1, -1).clone()


def apply(transform: Tensor, feats: Tensor) -> Tensor:
    """Return A x + b of each frame.

    Args:
        transform: (D, D + 1) [A b].
        feats: (T, D); the result has their type.
    """
    W = transform.to(feats.dtype)
    return feats @ W[:, :-1].T + W[:, -1]


def compose(second: Tensor, first: Tensor) -> Tensor:
    """Return the transform (..., D, D + 1) that does ``first`` and then ``second``."""
    return second @ square(first)


def log_det(transform: Tensor) -> Tensor:
    """Return log|det A| (...), which the log-likelihood of each transformed frame lacks."""
    logabsdet: Tensor = torch.linalg.slogdet(transform[..., :-1]).logabsdet
    return logabsdet


def auxiliary(transform: Tensor, stats: FmllrStats) -> Tensor:
    """Return Q (...), nats, of transforms (..., D, D + 1)."""
    quadratic = (quadratic_gradient(transform, stats) * transform).sum((-2, -1))
    return stats.beta * log_det(transform) + (transform * stats.K).sum((-2, -1)) - 0.5 * quadratic


def gradient(transform: Tensor, stats: FmllrStats) -> Tensor:
    """Return dQ/dW = beta [A^-T 0] + K - [w_i G_i], (..., D, D + 1)."""
    inverse = torch.linalg.inv(transform[..., :-1]).mT
    logdet = torch.nn.functional.pad(inverse, (0, 1)) * stats.beta[..., None, None]
    return logdet + stats.K - quadratic_gradient(transform, stats)


def quadratic_gradient(transform: Tensor, stats: FmllrStats) -> Tensor:
    """Return [w_i G_i], the rows' gradients of the quadratic term of -Q, (..., D, D + 1)."""
    return (unpack(stats.G) @ transform[..., None]).squeeze(-1)


def estimate(
    stats: FmllrStats,
    kind: str = "full",
    *,
    iterations: int = 40,
    min_count: float = MIN_COUNT,
    init: Tensor | None = None,
) -> Estimate:
    """Estimate the transforms of a batch of speakers.

    Where that is impossible, a speaker keeps the start transform and ``reasons`` says why: too few frames, features
    that are constant or combinations of others, or an objective that fell.

    Args:
        stats: of S speakers.
        kind: "full", "diag" (A diagonal), "offset" (A = I) or "none".
        iterations: sweeps over the rows of a full transform, >= 0.
        min_count: beta must be more.
        init: (S, D, D + 1) start transforms; [I 0] when omitted.

    Raises:
        ConfigError: there is no such kind.

    Source: Kaldi, src/transform/fmllr-diag-gmm.cc, for ``min_count`` and for what fall of the objective is accepted.
        Kaldi fails, or returns NaN, where features are constant.
    """
    start = identity(stats.dim, len(stats.table)).to(stats.table.device) if init is None else init.double()
    if kind == "none":
        nothing = torch.zeros_like(stats.beta)
        count = stats.beta.clone()  # a view would keep all statistics for as long as the estimate is kept
        return Estimate(start, nothing, count, len(start) * ("none",), len(start) * ("",))
    if kind not in _UPDATES:
        raise ConfigError(f"fMLLR kind: expected one of {', '.join(_UPDATES)} or none, got {kind!r}")
    parts = []
    for table, begin in zip(torch.split(stats.table, BATCH), torch.split(start, BATCH), strict=True):
        part = FmllrStats(table, stats.dim)
        found, singular = _UPDATES[kind](part, begin, iterations)
        few = {f"no more than {min_count:g} frames": ~(part.beta > min_count)}
        parts.append(accept(part, begin, found, kind, refusals(part) | few | {SINGULAR: singular}))
    return join(parts)


SINGULAR = "features are constant or combinations of one another"


def own_moments(stats: FmllrStats) -> tuple[Tensor, Tensor, Tensor]:
    """Return what G says about each feature alone: sums (S, D) of b x^2, b x and b."""
    D, d = stats.dim, torch.arange(stats.dim, device=stats.table.device)
    return stats.G[:, d, d * (d + 3) // 2], stats.G[:, d, D * (D + 1) // 2 + d], stats.G[..., -1]


def constant(stats: FmllrStats) -> Tensor:
    """Say which speakers (S,) have a feature that does not vary: the likelihood grows with its scale for ever."""
    squares, sums, counts = own_moments(stats)
    return ~(squares - sums.square() / counts > _CONSTANT * squares).all(1)


def refusals(stats: FmllrStats) -> dict[str, Tensor]:
    """Say which speakers (S,) have unusable statistics, for each of the possible reasons."""
    return {"statistics are not finite": ~stats.table.isfinite().all(-1)}


def accept(stats: FmllrStats, start: Tensor, found: Tensor, kind: str, refused: dict[str, Tensor]) -> Estimate:
    """Take the transforms that are sound and improve the objective, and the start of the other speakers.

    Args:
        stats: of S speakers.
        start: (S, D, D + 1).
        found: (S, D, D + 1) the update.
        kind: how it was found.
        refused: reason and (S,) mask of the speakers it holds for.
    """
    before, after = auxiliary(start, stats), auxiliary(found, stats)
    refused = {
        **refused,
        "the transform is not finite": ~(after.isfinite() & found.isfinite().flatten(1).all(1)),
        "the objective did not rise": after - before < -_MAY_FALL * (after.abs() + before.abs()),
    }
    reasons = [next((why for why, mask in refused.items() if mask[s]), "") for s in range(len(found))]
    good = torch.tensor([not why for why in reasons], device=found.device)
    return Estimate(
        torch.where(good[:, None, None], found, start),
        torch.where(good, after - before, 0.0),
        stats.beta,
        tuple("none" if why else kind for why in reasons),
        tuple(reasons),
    )


def join(parts: Sequence[Estimate]) -> Estimate:
    """Put the estimates of several batches one after another."""
    return Estimate(
        torch.cat([part.transforms for part in parts]),
        torch.cat([part.improvement for part in parts]),
        torch.cat([part.count for part in parts]),
        tuple(kind for part in parts for kind in part.kinds),
        tuple(reason for part in parts for reason in part.reasons),
    )


def _full(stats: FmllrStats, start: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Update row by row; return the transforms and which speakers have singular statistics."""
    inverse_G, singular = invert_quadratic(unpack(stats.G))
    kG = (stats.K[:, :, None] @ inverse_G).squeeze(2)  # (S, D, D + 1)
    W = start.clone()
    for _ in range(iterations):
        inverse_A = torch.linalg.inv_ex(W[..., :-1]).inverse
        for d in range(stats.dim):
            W[:, d] = _best_row(inverse_A[:, :, d], inverse_G[:, d], kG[:, d], stats.beta)
            replace_row(inverse_A, d, W[:, d, :-1])
    return W, singular


def _best_row(c: Tensor, inverse_G: Tensor, kG: Tensor, beta: Tensor) -> Tensor:
    """Return w (S, D + 1) that maximises beta log|c w| + k w' - 1/2 w G w'.

    Args:
        c: (S, D) a row of A^-T, the direction of the row's cofactors.
        inverse_G: (S, D + 1, D + 1).
        kG: (S, D + 1) k G^-1.
        beta: (S,).

    Source: Gales 1998, equations 50 to 54.
    """
    cG = (c[:, None] @ inverse_G[:, :-1]).squeeze(1)  # (S, D + 1)
    e1, e2 = (cG[:, :-1] * c).sum(1), (kG[:, :-1] * c).sum(1)
    root = (e2.square() + 4 * e1 * beta).sqrt()
    alphas = torch.stack([-e2 + root, -e2 - root]) / (2 * e1)
    objective = beta * (alphas * e1 + e2).abs().log() - 0.5 * alphas.square() * e1
    alpha = torch.where(objective[0] > objective[1], alphas[0], alphas[1])
    return alpha[:, None] * cG + kG


def _diagonal(stats: FmllrStats, start: Tensor, _: int) -> tuple[Tensor, Tensor]:
    """Scale and shift each feature by itself, in closed form."""
    squares, sums, counts = own_moments(stats)
    k, k_offset = stats.K.diagonal(dim1=1, dim2=2), stats.K[..., -1]
    a, b = sums.square() / counts - squares, k - sums * k_offset / counts
    scale = -(b + (b.square() - 4 * a * stats.beta[:, None]).sqrt()) / (2 * a)
    offset = (k_offset - scale * sums) / counts
    return torch.cat([scale.diag_embed(), offset[..., None]], -1), constant(stats)


def _offset(stats: FmllrStats, start: Tensor, _: int) -> tuple[Tensor, Tensor]:
    """Shift each feature, in closed form."""
    sums, counts = own_moments(stats)[1:]
    W = identity(stats.dim, len(start)).to(start.device)
    W[..., -1] = (stats.K[..., -1] - sums) / counts
    return W, torch.zeros_like(stats.beta, dtype=torch.bool)


_UPDATES: dict[str, Callable[[FmllrStats, Tensor, int], tuple[Tensor, Tensor]]] = {
    "full": _full,
    "diag": _diagonal,
    "offset": _offset,
}
