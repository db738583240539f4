"""Batch norm over the frames of all processes of a run, as one process with the whole batch would normalise them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asr_ligru import ranks


def normalise_together(
    frames: Tensor, weight: Tensor, bias: Tensor, eps: float, counted: bool = True
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Normalise frames by the mean and variance of those of all processes.

    Args:
        frames: (N, C), those of this process, N >= 1.
        weight: (C,).
        bias: (C,).
        eps: added to the variance.
        counted: False for frames that another process has, too: they are normalised, but left out of the statistics.

    Returns:
        (N, C); mean and biased variance, (C,) at least float32, without gradient; and the number of frames they are of.

    Source: Ioffe and Szegedy 2015, section 3; the sums in its equations go over all processes.
    """
    y, mean, variance, count = _Together.apply(frames, weight, bias, eps, counted)  # type: ignore[no-untyped-call]
    return y, mean, variance, int(count)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _Together(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, eps: float, counted: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, own = _precise(frames), len(frames) if counted else 0
        variance, mean = (moment.double() for moment in torch.var_mean(x, 0, correction=0))
        sums = torch.cat([own * mean, own * (variance + mean**2), mean.new_tensor([own])])
        ranks.add_up(sums)
        count = sums[-1]
        mean, squares = (sums[:-1] / count).chunk(2)
        variance = (squares - mean**2).clamp(min=0).to(x.dtype)
        mean = mean.to(x.dtype)
        y = torch.nn.functional.batch_norm(x, mean, variance, weight.to(x.dtype), bias.to(x.dtype), False, 0.0, eps)
        ctx.save_for_backward(frames, weight, mean, (variance + eps).rsqrt())
        ctx.share = 1.0 / float(count) if counted else 0.0
        ctx.mark_non_differentiable(mean, variance, count)
        return y.to(frames.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, d_y: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of the frames, and what these add to those of weight and bias."""
        frames, weight, mean, scale = ctx.saved_tensors
        d_y = _precise(d_y)
        normalised = (frames - mean) * scale
        d_weight, d_bias = (d_y * normalised).sum(0), d_y.sum(0)
        totals = torch.stack([d_weight, d_bias])
        ranks.add_up(totals)
        of_statistics = torch.addcmul(totals[1], normalised, totals[0]) * ctx.share
        d_frames = (d_y - of_statistics) * (weight * scale)
        return d_frames.to(frames.dtype), d_weight.to(weight.dtype), d_bias.to(weight.dtype), None, None
