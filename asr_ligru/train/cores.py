"""Who computes on which core, where several processes of one thread each train on the CPU and wait for each other."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

_THREADS = Path("/proc/self/task")
_RECEIVES = "gloo_tcp_loop"  # what gloo calls it


def keep_to_own() -> None:
    """Bind this process to one core, where torchrun started as many processes here as there are cores for them.

    A process that waits leaves its core to the threads that carry its messages; unbound, those may be put on a core
    where another process computes, and wait for the kernel's next tick. MPI's launchers bind in the same way. What is
    started later inherits it. Processes of several threads, and systems other than Linux, are left as they are.
    """
    if sys.platform == "linux" and torch.get_num_threads() == 1:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
            os.sched_setaffinity(0, {cores[int(os.environ["LOCAL_RANK"])]})


def receive_without_interrupting() -> None:
    """Make the thread that receives gloo's messages wait for a free core instead of taking one from another thread.

    It asks for a connection's lock without waiting for it, over and over (gloo/transport/tcp/pair.cc, handleEvents).
    When it has interrupted the very thread that holds the lock, nothing goes on until the kernel's next tick, 4 ms at
    250 Hz. A thread of the batch policy never interrupts another. Only speed depends on it: where there is no /proc, or
    policies cannot be set, messages take longer now and then.
    """
    for thread in receiving_threads():
        with suppress(OSError):  # forbidden by a container
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def receiving_threads() -> list[int]:
    """Return the threads of this process that receive gloo's messages; none where the system does not tell."""
    found = []
    for task in _THREADS.iterdir() if _THREADS.is_dir() else ():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            if (task / "comm").read_text(encoding="utf-8").strip() == _RECEIVES:
                found.append(int(task.name))
    return found
