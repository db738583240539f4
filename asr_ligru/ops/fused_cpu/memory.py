"""Where tensors' memory comes from: fresh ones for the core to fill, and freed ones used again."""

from __future__ import annotations

import ctypes
import math
import os
import platform

import torch
from torch import Tensor

from asr_ligru.ops.fused_cpu.library import prefer_large_pages

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def unwritten(*size: int) -> Tensor:
    """Return a float32 tensor with undefined content, on large pages where the system has them.

    Large tensors come from the system anew each time; on small pages writing them for the first time takes longer than
    computing an LSTM's gates (measured: a third of a layer's time at 4x256).
    """
    tensor = torch.empty(size, dtype=torch.float32)
    prefer_large_pages(tensor.data_ptr(), 4 * math.prod(size))
    return tensor


def keep_freed_memory() -> bool:
    """Let the C library keep large freed tensors for the next ones, for the rest of this process.

    As glibc has it, whatever is above 32 MiB goes back to the system when it is freed and comes back empty, a page
    fault for each 4 KiB: with batches of 16,000 frames and more that takes as long as the training step itself
    (docs/performance.md). The price is a process that stays as large as its
    largest moment, and up to two thirds larger (measured: 1.0 to 1.7 GB for a step of 25,600 frames of 2x256).

    Returns:
        Whether it was done; only glibc can.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def keep_few_kernels() -> None:
    """Let oneDNN keep what it compiled for the last 16 shapes instead of 1024, unless the environment says how many.

    To be called before its first product. Packed batches hardly ever have as many frames as one before, so nothing is
    used again beyond a training step, and small pieces that stay break up the memory freed around them (measured, with
    batches of 1500 frames of 4x256: 600 MB instead of 395 after 36 steps, and rising, in the same time; decoding two
    hours of speech: 1600 MB instead of 880).
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, "16")


def give_back_freed_memory() -> bool:
    """Give the system back what the C library keeps for later, once.

    To be called before a process is forked that will live for long: the child would keep each page that this one writes
    to afterwards, also those that hold nothing.

    Returns:
        Whether it was done; only glibc can.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    ctypes.CDLL(None).malloc_trim(0)
    return True
