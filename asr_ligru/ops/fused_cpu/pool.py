"""Threads that run calls of the compiled core side by side; ctypes lets go of the interpreter lock during each call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

_pool: ThreadPoolExecutor | None = None


def run_all(calls: Sequence[Callable[[], int]]) -> None:
    """Run calls at the same time, the last one in the calling thread, and wait for all.

    Raises:
        MemoryError: a call returned non-zero: the core found no memory for its private buffers.
    """
    others = [_threads().submit(call) for call in calls[:-1]]
    failures = [calls[-1]()] + [other.result() for other in others]
    if any(failures):
        raise MemoryError("the compiled CPU core found no memory for its private buffers")


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="asr-ligru")
    return _pool


def _forget_threads() -> None:
    """Threads do not survive a fork: a child (a data loader's worker) starts its own."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
