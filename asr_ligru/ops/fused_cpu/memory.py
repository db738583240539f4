"""Fresh tensors for the core to fill."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from asr_ligru.ops.fused_cpu.library import prefer_large_pages


def unwritten(*size: int) -> Tensor:
    """Return a float32 tensor with undefined content, on large pages where the system has them.

    Large tensors come from the system anew each time; on small pages writing them for the first time takes longer than
    computing an LSTM's gates (measured: a third of a layer's time at 4x256).
    """
    tensor = torch.empty(size, dtype=torch.float32)
    prefer_large_pages(tensor.data_ptr(), 4 * math.prod(size))
    return tensor
