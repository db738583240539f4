"""Numbers too small for full precision, taken for zero while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_DENORMAL = 1e-39  # float32 has its full precision from 1.2e-38 on


@contextmanager
def flushed() -> Iterator[None]:
    """Take numbers below 1.2e-38 for zero on the CPU while the block runs, in this thread and in those it starts.

    States and gradients that fade through time become that small, and an Intel core computes with such numbers in
    microcode. The compiled recurrence takes them for zero by itself; this is for the rest of a training step, which
    without it takes a fifth longer (docs/performance.md).
    To be entered before the first work on several threads: those that are there already go on as they were. After the
    block this thread computes as before it. A processor that cannot do so goes on as it was.
    """
    before = float(torch.tensor(_DENORMAL) * 1) == 0  # torch sets the mode, and does not tell it
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
