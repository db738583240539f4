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


def _normalised_alone(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return what torch makes of this process' frames alone, fast, and their mean and biased variance."""
    mean, variance = x.new_zeros(x.shape[1]), x.new_zeros(x.shape[1])
    y = torch.batch_norm(x, None, None, mean, variance, True, 1.0, eps, torch.backends.cudnn.enabled)
    return y, mean, variance * ((len(x) - 1) / len(x)) if len(x) > 1 else torch.zeros_like(variance)


class _Together(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, eps: float, counted: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, own = _precise(frames), len(frames) if counted else 0
        y, own_mean, own_variance = _normalised_alone(x, eps)
        mean, variance = own_mean.double(), own_variance.double()
        sums = torch.cat([own * mean, own * (variance + mean**2), mean.new_tensor([own])])
        ranks.add_up(sums)
        count = sums[-1]
        mean, squares = (sums[:-1] / count).chunk(2)
        variance = (squares - mean**2).clamp(min=0).to(x.dtype)
        mean = mean.to(x.dtype)
        gain = weight * (variance + eps).rsqrt()
        y.mul_(gain * (own_variance + eps).sqrt()).add_((own_mean - mean) * gain + bias)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.eps, ctx.share, ctx.dtype = eps, 1.0 / float(count) if counted else 0.0, frames.dtype
        ctx.mark_non_differentiable(mean, variance, count)
        return y.to(frames.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, d_y: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of the frames, and what these add to those of weight and bias.

        Torch's own gives them as if these frames were all; in each channel that of the frames then differs from the
        true one by a constant and ``slope`` times the frames.
        """
        x, weight, mean, scale = ctx.saved_tensors
        inputs = (_precise(d_y), x, weight.to(x.dtype), None, None, mean, scale, True, ctx.eps, [True] * 3)
        d_x, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(*inputs)
        totals = torch.stack([d_weight, d_bias])
        own = totals / len(x)
        ranks.add_up(totals)
        of_weight, of_bias = (own - totals * ctx.share) * (weight * scale)
        slope = of_weight * scale
        d_x.addcmul_(x, slope).add_(of_bias - mean * slope)
        return d_x.to(ctx.dtype), d_weight.to(weight.dtype), d_bias.to(weight.dtype), None, None
