"""Batches read ahead: by a thread, or by processes, which may fail, hang or be killed without leaving anything behind.

Signals are the main process' affair: it stops the workers when it has saved. An error in a worker reaches it as it is;
torch would make one of its traceback.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from types import FrameType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from asr_ligru.data.batching import Key
from asr_ligru.data.dataset import Example, SpeechDataset, collate
from asr_ligru.errors import AsrLigruError, EnvironmentError_
from asr_ligru.ops.fused_cpu.memory import give_back_freed_memory
from asr_ligru.typing import Batch

_LOOK_S = 1.0
Loader = DataLoader[Any]
Arrays = dict[str, Any]  # a batch, its tensors as arrays


class _Carried(Dataset[Any]):
    """Gives torch whole batches, or the error that reading one ended with."""

    def __init__(self, dataset: SpeechDataset) -> None:
        self._dataset = dataset

    def __getitems__(self, keys: Sequence[Key]) -> list[Example] | AsrLigruError:
        try:
            return [self._dataset[key] for key in keys]
        except AsrLigruError as error:
            return error


class _ByThread(DataLoader[Any]):
    """Reads in this process: a thread has the next batch ready while the model computes with one.

    The sampler is asked by whoever iterates, because it may talk to the other processes of a run.
    """

    def __iter__(self) -> Iterator[Arrays | AsrLigruError]:  # type: ignore[override]
        with ThreadPoolExecutor(1) as reader:
            reading: Future[Arrays | AsrLigruError] | None = None
            for keys in self.batch_sampler or []:
                following = reader.submit(self._read, keys)
                if reading is not None:
                    yield reading.result()
                reading = following
            if reading is not None:
                yield reading.result()

    def _read(self, keys: Sequence[Key]) -> Arrays | AsrLigruError:
        return _collate(cast(_Carried, self.dataset).__getitems__(keys))


def _collate(examples: list[Example] | AsrLigruError) -> Arrays | AsrLigruError:
    """Return a batch as arrays, which go through a pipe; tensors need an open file each, and room in /dev/shm."""
    if isinstance(examples, AsrLigruError):
        return examples
    batch = collate(examples)
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in values.items()}


def _batch(arrays: Arrays) -> Batch:
    values: Arrays = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in arrays.items()}
    return Batch(**values)


def _begin(worker: int) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.pid,), daemon=True).start()


def _end_after(parent: int | None) -> None:
    """End this process when its parent is gone; torch does not where a batch waits for room in a pipe."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def loader(dataset: SpeechDataset, batches: Sampler[list[Key]], num_workers: int, timeout_s: float) -> Loader:
    """Return what reads the batches that a sampler names.

    Args:
        dataset: the utterances.
        batches: which of them, batch by batch.
        num_workers: processes; 0 reads in a thread of this one.
        timeout_s: how long a batch of theirs is waited for; 0 for ever.
    """
    kind = DataLoader if num_workers else _ByThread
    return kind(
        _Carried(dataset),
        batch_sampler=batches,
        collate_fn=_collate,
        num_workers=num_workers,
        timeout=timeout_s if num_workers else 0,
        worker_init_fn=_begin,
        # A generator of its own: each start of a loader draws from it, and a resumed epoch starts once more.
        generator=torch.Generator(),
    )


def received(batches: Iterable[Arrays | AsrLigruError]) -> Iterator[Batch]:
    """Yield the batches of a loader.

    Raises:
        AsrLigruError: reading one failed.
        RuntimeError: one did not come in time.
    """
    if getattr(batches, "num_workers", 0):
        give_back_freed_memory()
    arriving = iter(batches)
    while True:
        with _alarm(getattr(batches, "timeout", 0)):
            found = next(arriving, None)
        if found is None:
            return
        if isinstance(found, AsrLigruError):
            raise found
        yield _batch(found)


def timed(batches: Iterable[Arrays | AsrLigruError]) -> Iterator[tuple[Batch, float]]:
    """Yield the batches of a loader, each with the seconds that were waited for it."""
    asked = time.monotonic()
    for batch in received(batches):
        yield batch, time.monotonic() - asked
        asked = time.monotonic()


@contextmanager
def _alarm(after_s: float) -> Iterator[None]:
    """Raise when the block takes longer; torch waits for ever when a worker halts while it hands a batch over."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise RuntimeError(f"DataLoader timed out after {after_s} seconds")

    previous = signal.signal(signal.SIGALRM, ring) if after_s else None
    signal.setitimer(signal.ITIMER_REAL, after_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if after_s:
            signal.signal(signal.SIGALRM, previous)


def first(batches: Loader) -> Batch:
    """Return the first batch of a loader, read in this process."""
    keys: list[Key] = next(iter(batches.batch_sampler or []))
    carried = cast(_Carried, batches.dataset)
    return next(received([_collate(carried.__getitems__(keys))]))


@contextmanager
def watched() -> Iterator[None]:
    """Say what became of a worker that died or did not answer, and leave none behind.

    Raises:
        EnvironmentError_: a worker was killed, or gave nothing for the time it had.
    """
    before = set(multiprocessing.active_children())
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:  # the last two: it died while it handed a batch over
        if isinstance(error, RuntimeError) and "DataLoader" not in str(error):
            raise
        raise EnvironmentError_(
            f"a process that reads data {'gave no answer' if 'timed out' in str(error) else 'was killed'}",
            where="train.num_workers",
            fix="the usual cause is too little memory or a disk that hangs: lower train.num_workers, or 0 for none;"
            " the same command goes on from the last checkpoint",
        ) from error
    finally:
        _kill([child for child in multiprocessing.active_children() if child not in before])


def _kill(children: Sequence[Any]) -> None:
    if children:
        handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's would report the end of each as a fault
        for child in children:
            child.kill()
            child.join()
        signal.signal(signal.SIGCHLD, handler)
