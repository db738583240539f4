"""Whether the kernels can run here, and how they multiply."""

from __future__ import annotations

import importlib.util

import torch

from asr_ligru.ops.fused_triton.plan import Device, plan

MIN_CAPABILITY = (8, 0)


def refusal(cell: str, dtype: torch.dtype, hidden_size: int) -> str:
    """Say why the kernels cannot run on the current GPU.

    Args:
        cell: name of the cell.
        dtype: of the state.
        hidden_size: H.

    Returns:
        The reason in words, or an empty string when they can.
    """
    if dtype != torch.float32:
        return f"the triton kernels carry their state in float32, this is {dtype}"
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if torch.version.hip is not None:
        return "the triton kernels are for NVIDIA's GPUs, this torch is built for AMD's"
    capability = torch.cuda.get_device_capability()
    if capability < MIN_CAPABILITY:
        return f"the triton kernels need compute capability 8.0, this GPU has {'.'.join(map(str, capability))}"
    tiles = plan(1, 1, hidden_size, torch.float32, Device.of(torch.device("cuda")), parts=2)
    if tiles is None:
        return f"the recurrent weights of {hidden_size} units do not fit into this GPU's shared memory"
    if cell == "sligru" and tiles.together == 0:
        return f"an SLi-GRU of {hidden_size} units needs {tiles.tiles} multiprocessors at the same time"
    return ""


def precision(dtype: torch.dtype) -> str:
    """Return how Triton multiplies operands of ``dtype``: float32 as it is, unless torch was told that TF32 will do."""
    tf32 = dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision == "tf32"
    return "tf32" if tf32 else "ieee"
