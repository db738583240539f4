"""The processes of one run: which of them this is, and what they tell each other through ``torch.distributed``.

Where that was not set up there is one process, and everything here returns what it was given.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

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


def add_up(*tables: Tensor) -> None:
    """Sum tensors over the processes, in place, so that each has those of all, with the same bits.

    Args:
        tables: of the same shapes in each process; contiguous, on the CPU or on the process' own GPU.
    """
    if count() > 1:
        for table in tables:
            dist.all_reduce(table)


def highest(*numbers: int) -> list[int]:
    """Return the largest of each number over the processes."""
    if count() == 1:
        return list(numbers)
    table = torch.tensor(numbers)
    dist.all_reduce(table, dist.ReduceOp.MAX)
    return table.tolist()


def gathered(value: T) -> list[T]:
    """Return the value of every process, in the order of their ranks.

    Args:
        value: JSON-ready; it travels as JSON, so a tuple arrives as a list.
    """
    if count() == 1:
        return [value]
    raw = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(count())]
    dist.all_gather(sizes, torch.tensor([len(raw)]))
    rooms = [torch.zeros(int(max(sizes)), dtype=torch.uint8) for _ in sizes]
    dist.all_gather(rooms, torch.nn.functional.pad(raw, (0, len(rooms[0]) - len(raw))))
    return [json.loads(room[: int(size)].numpy().tobytes()) for room, size in zip(rooms, sizes, strict=True)]


def merged(values: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of the dictionaries of all processes; a key that several have gets the last one's value."""
    return {key: value for found in gathered(values) for key, value in found.items()}


def wait_for_all() -> None:
    """Wait until every process has come here."""
    highest(0)
