"""Float32 matrix products on the CPU by the faster of the two libraries inside torch.

On x86-64 torch multiplies float32 matrices with MKL, which uses half of what an AMD processor can do (measured: 107
against 250 GFLOP/s on one Zen 5 core). oneDNN, in the same wheel, is as accurate and is reached here per call: torch's
global precision settings are neither read as permission nor changed.
"""

from __future__ import annotations

import functools
import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asr_ligru.ops.weight_gradients import of_weight

# What torch.set_float32_matmul_precision sets, for CPUs; its getter refuses once a GPU's precision was set on its own.
_PRECISION: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # set when torch is imported


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """Apply a linear map as torch.nn.functional.linear does, at float32 accuracy and as fast as the processor can.

    Anything but float32 on the CPU (other devices and types, autocast, a lowered float32 precision setting) goes to
    torch.nn.functional.linear.

    Args:
        x: (..., F) input.
        w: (O, F) weights.
        b: (O,) bias, or None.

    Returns:
        (..., O). Gradients flow to all three.

    Raises:
        ValueError: input and weights differ in F, dtype or device.
    """
    check(x, w)
    if not _float32_on_cpu(x, w) or not _onednn():
        return F.linear(x, w, b)
    y: Tensor = _Linear.apply(x, w, b)  # type: ignore[no-untyped-call]
    return y


def check(x: Tensor, w: Tensor) -> None:
    """Check that an input goes with the weights it is to be multiplied with.

    Args:
        x: (..., F) input.
        w: (O, F) weights.

    Raises:
        ValueError: they differ in F, in device, or in dtype where autocast does not make it one.
    """
    if x.shape[-1] != w.shape[-1]:
        raise ValueError(f"the input must have {w.shape[-1]} features, got {x.shape[-1]} in {tuple(x.shape)}")
    if x.device != w.device:
        raise ValueError(f"the input must be on {w.device} like the weights, got {x.device}")
    cast = torch.is_autocast_enabled(x.device.type) and x.is_floating_point()
    if x.dtype != w.dtype and not cast:
        raise ValueError(f"the input must be {w.dtype} like the weights, got {x.dtype}")


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return a @ b for matrices (M, K) and (K, N), without gradients."""
    if not _float32_on_cpu(a, b) or not _onednn():
        return a @ b
    return _multiply(a, b.t(), None)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        return _multiply(x, w, b)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        need_x, need_w, need_b = ctx.needs_input_grad
        flat = grad.reshape(-1, w.shape[0])
        grad_x = _multiply(grad, w.t(), None) if need_x else None
        grad_w = of_weight(w, lambda: product(flat.t(), x.reshape(-1, w.shape[1]))) if need_w else None
        return grad_x, grad_w, flat.sum(0) if need_b else None


def _multiply(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    if not x.numel() or not w.numel():  # oneDNN refuses
        return F.linear(x, w, b)
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, w, b, "none", [], "")
    return y


def _float32_on_cpu(x: Tensor, w: Tensor) -> bool:
    plain = x.dtype == w.dtype == torch.float32 and x.device.type == w.device.type == "cpu"
    return plain and not torch.is_autocast_enabled("cpu") and _PRECISION.fp32_precision in ("none", "ieee")


@functools.cache
def _onednn() -> bool:
    """Whether oneDNN is there and at least as fast as torch's own choice: on x86-64 only."""
    present: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return present and platform.machine().lower() in ("x86_64", "amd64")
