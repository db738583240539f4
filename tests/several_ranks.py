"""Code run by several processes that know each other, as torchrun would start them; forked, which takes no time."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import torch

from asr_ligru.train import distributed

TIMEOUT_S = 60.0


def run(count: int, work: Callable[[], object]) -> None:
    """Call ``work`` in so many processes; what one of them raises is raised."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    torch.multiprocessing.start_processes(_enter, (work, count, port), count, start_method="fork")


def _enter(rank: int, work: Callable[[], object], count: int, port: int) -> None:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ |= {"MASTER_ADDR": "127.0.0.1"} | {name: str(number) for name, number in numbers.items()}
    torch.set_num_threads(1)
    with distributed.together(TIMEOUT_S):
        work()
    distributed.leave()
