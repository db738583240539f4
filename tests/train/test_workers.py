"""What reads data ahead: its errors arrive as they are, and nothing is left when it dies, hangs or is not needed."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch

from asr_ligru.data.batching import BatchPlan, EpochBatches, Key
from asr_ligru.data.dataset import Example, SpeechDataset
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.train import workers
from asr_ligru.typing import Batch


class Reader(SpeechDataset):
    """Reads what needs no files; ``act`` is called with the index of each utterance first."""

    def __init__(self, act: Any = lambda index: None) -> None:
        super().__init__([], [], None)  # type: ignore[arg-type]
        self.act = act

    def __getitem__(self, key: Key) -> Example:
        self.act(key[1])
        return Example(f"u{key[1]}", torch.full((3, 2), float(key[1])), (1,), key[0])


def loader(act: Any = lambda index: None, *, num_workers: int = 1, timeout_s: float = 0) -> workers.Loader:
    return workers.loader(Reader(act), EpochBatches(BatchPlan(3, 1), [3] * 6), num_workers, timeout_s)


def read_all(batches: workers.Loader) -> list[str]:
    with workers.watched():
        return [batch.utt_ids[0] for batch in workers.received(batches)]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_received_gives_all_batches_in_order(num_workers: int) -> None:
    batches = loader(num_workers=num_workers)
    assert read_all(batches) == [f"u{i}" for i in range(6)]
    assert workers.first(batches).utt_ids == ("u0",)
    assert multiprocessing.active_children() == []


def fail(index: int) -> None:
    if index == 3:
        raise DataError("the file is gone", where="u3.wav", fix="restore it")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_received_error_of_a_worker_is_raised_as_it_was(num_workers: int) -> None:
    with pytest.raises(DataError) as caught:
        read_all(loader(fail, num_workers=num_workers))
    assert (caught.value.what, caught.value.where, caught.value.fix) == ("the file is gone", "u3.wav", "restore it")
    assert multiprocessing.active_children() == []


def test_received_without_workers_the_next_batch_is_read_meanwhile() -> None:
    read = [threading.Event() for _ in range(6)]
    batches = workers.received(loader(lambda index: read[index].set(), num_workers=0))
    for index, batch in enumerate(batches):
        assert batch.utt_ids == (f"u{index}",)
        assert all(event.wait(60) for event in read[: index + 2])  # while this batch is in use
        assert not any(event.is_set() for event in read[index + 2 :])  # what is held does not grow


def test_received_without_workers_batches_are_named_by_the_caller() -> None:
    class Sampler(EpochBatches):
        def __iter__(self) -> Iterator[list[Key]]:
            for keys in super().__iter__():
                named.append(threading.current_thread())
                yield keys

    named: list[threading.Thread] = []
    batches = Sampler(BatchPlan(3, 1), [3] * 6)
    assert read_all(workers.loader(Reader(), batches, 0, 0)) == [f"u{i}" for i in range(6)]
    assert named == [threading.current_thread()] * 6


def test_received_without_workers_leaves_no_thread_when_abandoned() -> None:
    before = threading.active_count()
    batches = workers.received(loader(num_workers=0))
    assert next(batches).utt_ids == ("u0",)
    assert threading.active_count() == before + 1
    batches.close()  # type: ignore[attr-defined]  # as the end of a frame does
    assert threading.active_count() == before


def die(index: int) -> None:
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def hang(index: int) -> None:
    if index == 3:
        time.sleep(3600)


@pytest.mark.parametrize(
    ("act", "timeout_s", "said"), [(die, 0, "was killed"), (hang, 1, "gave no answer"), (die, 60, "was killed")]
)
def test_watched_worker_that_dies_or_hangs_is_an_environment_error(act: Any, timeout_s: float, said: str) -> None:
    with pytest.raises(EnvironmentError_, match=f"reads data {said}"):
        read_all(loader(act, num_workers=2, timeout_s=timeout_s))
    assert multiprocessing.active_children() == []


class Large(Reader):
    """Gives utterances of more bytes than a pipe holds."""

    def __getitem__(self, key: Key) -> Example:
        return Example(f"u{key[1]}", torch.zeros(1 << 20, 2), (1,), key[0])


def slowly(batches: Iterator[Batch]) -> None:
    with workers.watched():
        for _ in batches:
            time.sleep(0.3)  # meanwhile the next fills the pipe
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGSTOP)


def test_watched_worker_that_halts_while_it_hands_a_batch_over_is_an_environment_error() -> None:
    batches = workers.loader(Large(), EpochBatches(BatchPlan(3, 1), [3] * 6), 1, 1)
    with pytest.raises(EnvironmentError_, match="reads data gave no answer"):
        slowly(workers.received(batches))
    assert multiprocessing.active_children() == []


def read_one_and_wait(workers_of: Connection) -> None:
    batches = workers.received(workers.loader(Large(), EpochBatches(BatchPlan(3, 1), [3] * 6), 2, 0))
    next(batches)
    workers_of.send([child.pid for child in multiprocessing.active_children()])
    time.sleep(3600)


def test_workers_with_a_batch_in_hand_end_with_their_parent() -> None:
    ours, theirs = multiprocessing.Pipe()
    parent = multiprocessing.get_context("fork").Process(target=read_one_and_wait, args=(theirs,))
    parent.start()
    left = ours.recv()
    assert len(left) == 2
    parent.kill()
    parent.join()
    until = time.monotonic() + 60
    while left and time.monotonic() < until:
        left = [pid for pid in left if os.path.exists(f"/proc/{pid}")]
        time.sleep(0.05)
    assert left == []


def test_received_needs_no_more_open_files_for_more_batches() -> None:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 12, allowed[1]))
    try:
        assert len(read_all(loader(num_workers=2))) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)


def test_watched_worker_that_dies_while_it_hands_a_batch_over_is_an_environment_error() -> None:
    with pytest.raises(EnvironmentError_, match="was killed"), workers.watched():
        raise ConnectionResetError(104, "Connection reset by peer")


def test_watched_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="something else"), workers.watched():
        raise RuntimeError("something else")


def test_watched_signals_do_not_end_workers() -> None:
    read = []
    with workers.watched():
        for batch in workers.received(loader(lambda index: time.sleep(0.05))):
            read.append(batch.utt_ids[0])
            for child in multiprocessing.active_children():
                for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    os.kill(child.pid or 0, signum)
    assert len(read) == 6
