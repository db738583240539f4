"""The processes of one run: which of them this is, and what they tell each other through ``torch.distributed``.

Where that was not set up there is one process, and everything here returns what it was given.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from asr_ligru.safety.folder_lock import locked

_LOOK_AGAIN_S = 0.5
_AWAKE_S = 0.1  # longer than nearly all waits of a training step, which are some milliseconds
T = TypeVar("T")


def count() -> int:
    """Return how many processes work on this run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return which of them this is, from 0 on."""
    return dist.get_rank() if count() > 1 else 0


def is_first() -> bool:
    """Say whether this is the process that writes files and messages."""
    return rank() == 0


def share(items: Sequence[T]) -> Sequence[T]:
    """Return those of ``items`` that this process works on: every ``count()``-th."""
    return items if count() == 1 else items[rank() :: count()]


def dealt(parts: Sequence[Sequence[T]]) -> list[T]:
    """Put what each process made of its ``share`` in the order of the whole."""
    whole: list[Any] = [None] * sum(map(len, parts))
    for number, part in enumerate(parts):
        whole[number :: len(parts)] = part
    return whole


def add_up(*tables: Tensor) -> None:
    """Sum tensors over the processes, in place, so that each has those of all, with the same bits.

    Args:
        tables: of the same shapes in each process; contiguous, on the CPU or on the process' own GPU.
    """
    for finish in [adding_up(table) for table in tables]:
        finish()


def adding_up(table: Tensor) -> Callable[[], object]:
    """Begin what ``add_up`` does with a tensor, and return what waits for the end of it.

    Args:
        table: as for ``add_up``; it is not to be touched before the end.
    """
    return _begin(table, dist.ReduceOp.SUM) if count() > 1 else lambda: None


def _begin(table: Tensor, operation: Any) -> Callable[[], None]:
    """Begin to reduce a tensor over the processes, in place, and return what waits for the end of it.

    It waits awake at first: a process that slept takes long to be as fast as before (docs/distributed.md).
    """
    work = dist.all_reduce(table, operation, async_op=True)
    assert work is not None
    os.sched_yield()  # to the thread that sends it

    def finish() -> None:
        until = time.monotonic() + _AWAKE_S
        while not (table.is_cuda or work.is_completed()) and time.monotonic() < until:
            os.sched_yield()  # to the thread that talks to the others, or to another process
        work.wait()

    return finish


def highest(*numbers: int) -> list[int]:
    """Return the largest of each number over the processes."""
    if count() == 1:
        return list(numbers)
    table = torch.tensor(numbers)
    _begin(table, dist.ReduceOp.MAX)()
    return table.tolist()


def gathered(value: T) -> list[T]:
    """Return the value of every process, in the order of their ranks.

    Args:
        value: JSON-ready; it travels as JSON, so a tuple arrives as a list.
    """
    if count() == 1:
        return [value]
    raw = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    return [json.loads(found.numpy().tobytes()) for found in gathered_tensors(raw)]


def gathered_tensors(table: Tensor) -> list[Tensor]:
    """Return the tensor of every process, in the order of their ranks.

    Args:
        table: (N,) of one type everywhere; N may differ.
    """
    if count() == 1:
        return [table]
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(count())]
    dist.all_gather(sizes, torch.tensor([len(table)]))
    rooms = [table.new_zeros(int(max(sizes))) for _ in sizes]
    dist.all_gather(rooms, torch.nn.functional.pad(table, (0, len(rooms[0]) - len(table))))
    return [room[: int(size)] for room, size in zip(rooms, sizes, strict=True)]


def merged(values: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of the dictionaries of all processes; a key that several have gets the last one's value."""
    return {key: value for found in gathered(values) for key, value in found.items()}


def wait_for_all() -> None:
    """Wait until every process has come here."""
    highest(0)


class _Busy(Exception):
    pass


@contextmanager
def held(folder: Path, busy: Callable[[str], object]) -> Iterator[None]:
    """Hold a folder for all processes of this run, and wait for it together while another run does.

    Args:
        folder: as for ``folder_lock.locked``.
        busy: called once with who holds it, when it has to be waited for.
    """

    def refuse(holder: str) -> None:
        raise _Busy(holder)

    said = False
    with ExitStack() as stack:
        while True:
            holder = ""
            if is_first():
                try:
                    stack.enter_context(locked(folder, refuse))
                except _Busy as error:
                    holder = str(error)
            holder = gathered(holder)[0]
            if not holder:
                break
            if not said:
                busy(holder)
            said = True
            time.sleep(_LOOK_AGAIN_S)
        yield
