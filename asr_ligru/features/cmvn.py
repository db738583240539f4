"""Mean and variance normalisation, with statistics in Kaldi's layout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# A variance this much smaller than the mean square is rounding: float32 features cannot resolve it.
_CONSTANT = 1e-12
_VARIANCE_FLOOR = 1e-10  # Kaldi's, over a sliding window


@dataclass(frozen=True)
class CmvnStats:
    """Sums over frames.

    Attributes:
        table: (2, F + 1) float64: sums of the features and the number of frames; sums of squares and 0.
    """

    table: Tensor

    @classmethod
    def of(cls, feats: Tensor) -> CmvnStats:
        """Return the statistics of ``feats`` (T, F); they can be added up over utterances."""
        frames = feats.double()
        table = frames.new_zeros(2, feats.shape[1] + 1)
        table[0, :-1] = frames.sum(0)
        table[0, -1] = len(feats)
        table[1, :-1] = frames.square().sum(0)
        return cls(table)

    def __add__(self, other: CmvnStats) -> CmvnStats:
        return CmvnStats(self.table + other.table)

    def normalize(self, feats: Tensor, *, variance: bool = True) -> Tensor:
        """Subtract the mean, and divide by the standard deviation if ``variance``.

        Args:
            feats: (T, F) of one utterance.
            variance: also scale to unit variance. Features that do not vary become 0.

        Returns:
            (T, F) of the type of ``feats``.

        Source: Kaldi, src/transform/cmvn.cc. Kaldi divides by at least 1e-10 where a feature does not vary, which
            makes large numbers of rounding errors.
        """
        mean, mean_square = (self.table[:, :-1] / self.table[0, -1]).unbind()
        normalized = feats.double() - mean
        if variance:
            var = mean_square - mean.square()
            normalized *= torch.where(var > _CONSTANT * mean_square, var.rsqrt(), 0.0)
        return normalized.to(feats.dtype)


def normalize_sliding(
    feats: Tensor, *, window: int = 600, min_window: int = 100, center: bool = False, variance: bool = False
) -> Tensor:
    """Subtract the mean of the frames around each one, as ``apply-cmvn-sliding`` does.

    Args:
        feats: (T, F) of one utterance.
        window: frames before the current one that count or, with ``center``, frames altogether, >= 1.
        min_window: without ``center``, frames that count at the beginning, where there are not enough before, >= 1.
        center: the window lies around the frame.
        variance: also scale to unit variance.

    Returns:
        (T, F) of the type of ``feats``.

    Source: Kaldi, src/feat/feature-functions.cc (SlidingWindowCmn).
    """
    T = len(feats)
    t = torch.arange(T, device=feats.device)
    start = t - (window // 2 if center else window)
    end = (start + window if center else t + 1) - start.clamp(max=0)
    if not center:
        end = (t + 1).clamp(min=min_window)
    start = (start.clamp(min=0) - (end - T).clamp(min=0)).clamp(min=0)
    end = end.clamp(max=T)
    frames = feats.double()
    sums = torch.nn.functional.pad(torch.cat([frames, frames.square()], 1).cumsum(0), (0, 0, 1, 0))  # (T + 1, 2 F)
    mean, mean_square = ((sums[end] - sums[start]) / (end - start)[:, None]).chunk(2, 1)
    normalized = frames - mean
    if variance:
        normalized *= (mean_square - mean.square()).clamp(min=_VARIANCE_FLOOR).rsqrt()
    return normalized.to(feats.dtype)
