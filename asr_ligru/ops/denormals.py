"""Numbers too small for full precision, taken for zero while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed() -> Iterator[None]:
    """Take numbers below 1.2e-38 for zero on the CPU while the block runs, in this thread and in those it starts.

    Gradients that fade through time become that small, and an Intel core computes with such numbers in microcode:
    products for the gradients of weights took four times as long, a training step of LiGRU twice (docs/performance.md).
    To be entered before the first work on several threads: threads that are there already go on as they were.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
