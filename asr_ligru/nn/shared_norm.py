"""Batch norm over the frames of all processes of a run, as one process with the whole batch would normalise them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.ops.weight_gradients import catch_up


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
        own_mean, own_variance = torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0)
        mean, variance = own_mean.double(), own_variance.double()
        sums = torch.cat([own * mean, own * (variance + mean**2), mean.new_tensor([own])])
        ranks.add_up(sums)
        count = sums[-1]
        mean, squares = (sums[:-1] / count).chunk(2)
        variance = (squares - mean**2).clamp(min=0).to(x.dtype)
        mean = mean.to(x.dtype)
        affine = weight.to(x.dtype), bias.to(x.dtype)
        y = torch.batch_norm(x, *affine, mean, variance, False, 0.0, eps, torch.backends.cudnn.enabled)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.eps, ctx.share, ctx.dtype = eps, 1.0 / float(count) if counted else 0.0, frames.dtype
        ctx.mark_non_differentiable(mean, variance, count)
        return y.to(frames.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, d_y: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of the frames, and what these add to those of weight and bias.

        In each channel those of the frames are ``gain`` times what came, plus ``slope`` times the frames, plus a
        constant. Summing over the processes is what takes time: gradients of weights are computed meanwhile.
        """
        x, weight, mean, scale = ctx.saved_tensors
        d_y, gain = _precise(d_y), weight * scale
        inputs = (d_y, x, weight.to(x.dtype), None, None, mean, scale, True, ctx.eps, [False, True, True])
        _, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(*inputs)
        totals = torch.stack([d_weight, d_bias])
        added_up = ranks.adding_up(totals)
        catch_up()
        added_up()
        of_weight, of_bias = -ctx.share * gain * totals
        slope = of_weight * scale
        d_x = torch.addcmul(of_bias - mean * slope, x, slope).addcmul_(d_y, gain)
        return d_x.to(ctx.dtype), d_weight.to(weight.dtype), d_bias.to(weight.dtype), None, None
