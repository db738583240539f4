"""A run by several processes, started by torchrun: how they meet, share work and end together.

A batch is divided among the processes. Losses, frames and gradients are summed, never averaged, so that parts of
unequal size weigh what they weigh in one process. A process for which a batch has no utterance left goes along with
one of another's that does not count.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from asr_ligru import ranks
from asr_ligru.data.batching import Indices
from asr_ligru.errors import AsrLigruError, ConfigError, DivergedError, EnvironmentError_
from asr_ligru.nn.norm import FrameBatchNorm
from asr_ligru.train import cores

_LOOK_S = 2.0  # how long a process that is lost is watched, to say what became of it
_CONDITIONS = {"T": "is stopped", "t": "is stopped", "Z": "has ended", "X": "has ended"}  # of Linux' /proc


class LostRankError(EnvironmentError_):
    """Another process of the run has ended or does not answer."""


@contextmanager
def together(timeout_s: float) -> Iterator[None]:
    """Meet the other processes, if torchrun started several; what is inside ends for all when it does for one.

    Args:
        timeout_s: how long one waits for another.

    Raises:
        LostRankError: another process ended, or gave no answer for so long; the message names it.
        EnvironmentError_: the processes cannot meet.
        SystemExit: an error that the first process reports in the same words.
    """
    try:
        _join(timeout_s)
        if not ranks.is_first():
            logging.getLogger("asr_ligru").setLevel(logging.ERROR)  # what the first process says, too
        peers = ranks.gathered([socket.gethostname(), os.getpid()])
        cores.receive_without_interrupting()
        try:
            yield
        except RuntimeError as error:
            if not _is_lost(error):
                raise
            raise _lost(peers, timeout_s) from error
    except AsrLigruError as error:
        if ranks.is_first():
            raise
        if isinstance(error, (ConfigError, DivergedError)):
            raise SystemExit(error.exit_code) from error
        error.what = f"rank {ranks.rank()}: {error.what}"
        raise


def launcher() -> str:
    """Return the command that runs this program in as many processes as there are."""
    total, own = _launched(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if total == 1:
        return "asr-ligru"
    machines = f"--nnodes {total // own} " if total > own else ""
    return f"torchrun {machines}--nproc_per_node {own} -m asr_ligru"


def leave() -> None:
    """Close the connections to the other processes."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def _launched() -> int:
    """Return how many processes torchrun, or what else sets its variables, started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _join(timeout_s: float) -> None:
    if _launched() == 1 or dist.is_initialized():
        return
    cores.keep_to_own()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout_s))
    except (RuntimeError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise EnvironmentError_(
            f"the processes of this run cannot meet: {first}", fix="start them with torchrun; see docs/distributed.md"
        ) from error


def _is_lost(error: RuntimeError) -> bool:
    return ranks.count() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error))


def _lost(peers: list[list[Any]], timeout_s: float) -> LostRankError:
    for signum in (signal.SIGTERM, signal.SIGINT):  # torchrun's; this process ends anyway, and says why
        signal.signal(signum, signal.SIG_IGN)
    until = time.monotonic() + _LOOK_S
    while not (found := _conditions(peers)) and time.monotonic() < until:
        time.sleep(0.05)
    for number, condition in found.items():
        if condition == "is stopped":
            os.kill(peers[number][1], signal.SIGCONT)  # or it would not hear that the run is over
    said = [f"rank {n} (process {peers[n][1]} on {peers[n][0]}) {condition}" for n, condition in found.items()]
    return LostRankError(
        "; ".join(said) or f"another process ended, or gave no answer for {timeout_s:g} s",
        where="train.ddp_timeout_s" if "stopped" in str(said) or not said else "",
        fix="its own message or torchrun's says why; the same command goes on from the last checkpoint",
    )


def _conditions(peers: list[list[Any]]) -> dict[int, str]:
    """Return what can be seen of the other processes on this machine that do not run, by rank."""
    here, found = socket.gethostname(), {}
    for number, (host, pid) in enumerate(peers):
        if host == here and number != ranks.rank() and Path("/proc").is_dir():
            try:
                state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            except OSError:
                state = "X"
            if state in _CONDITIONS:
                found[number] = _CONDITIONS[state]
    return found


def agree(**values: Any) -> None:
    """Check that something is the same in every process.

    Raises:
        ConfigError: it is not.
    """
    for name, found in ((name, ranks.gathered(value)) for name, value in values.items()):
        if any(value != found[0] for value in found):
            wrong = [str(number) for number, value in enumerate(found) if value != found[0]]
            raise ConfigError(
                f"the {name} of rank {', '.join(wrong)} is not that of rank 0",
                fix="give every machine the same command, files and versions; exp_dir must be a folder that all see",
            )


def local_gpu() -> str:
    """Return the GPU of this process.

    Raises:
        ConfigError: there are fewer GPUs than processes on this machine.
    """
    number, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= there:
        fix = "start as many processes as there are GPUs, or train.device=cpu"
        raise ConfigError(f"{there} GPUs for more processes than that", where="train.device", fix=fix)
    return f"cuda:{number}"


def own_part(batches: Indices) -> Indices:
    """Return this process' part of each batch; where none is left for it, the first utterance, not to be counted."""
    return batches if ranks.count() == 1 else [_part(batch) or batch[:1] for batch in batches]


def _part(batch: list[int]) -> list[int]:
    """Deal a batch, which is sorted by length, to and fro: 0 1 1 0 0 1 ... gives all nearly as many frames."""
    there_and_back = [*range(ranks.count()), *reversed(range(ranks.count()))]
    return [index for index, taker in zip(batch, cycle(there_and_back), strict=False) if taker == ranks.rank()]


def own_batches(batches: Indices) -> Indices:
    """Return the batches that this process evaluates, whole ones."""
    return list(ranks.share(batches))


def share_statistics(model: nn.Module, counted: bool = True) -> None:
    """Let batch norm take the statistics of all processes.

    Args:
        model: what is trained.
        counted: whether this process' part of the next batch is its own.
    """
    for module in model.modules():
        if isinstance(module, FrameBatchNorm):
            module.shared, module.counted = ranks.count() > 1, counted


def add_up_gradients(parameters: Iterable[Tensor]) -> None:
    """Sum gradients over the processes, all in one message."""
    owners = [(p, p.grad) for p in parameters if p.grad is not None]
    if ranks.count() == 1 or not owners:
        return
    flat = torch.cat([gradient.flatten() for _, gradient in owners])
    ranks.add_up(flat)
    for (parameter, _), part in zip(owners, torch.split(flat, [p.numel() for p, _ in owners]), strict=True):
        parameter.grad = part.view_as(parameter)


def all_rng_states(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the states of the random generators of all processes; those of the first keep their names."""
    found = ranks.gathered({name: state.numpy().tobytes().hex() for name, state in own.items()})
    return {
        name if number == 0 else f"rank{number}/{name}": torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
        for number, states in enumerate(found)
        for name, text in states.items()
    }


def own_rng_states(states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those that ``all_rng_states`` had of this process; none where fewer processes were there."""
    if ranks.is_first():
        return {name: state for name, state in states.items() if "/" not in name}
    prefix = f"rank{ranks.rank()}/"
    return {name.removeprefix(prefix): state for name, state in states.items() if name.startswith(prefix)}
