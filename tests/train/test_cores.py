"""Who computes on which core, and which threads may interrupt others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from asr_ligru import ranks
from asr_ligru.compose import compose
from asr_ligru.train import cores, distributed
from asr_ligru.train.run import train
from tests import several_ranks
from tests.tiny_corpus import OVERRIDES

USABLE = os.sched_getaffinity(0) if sys.platform == "linux" else set()
linux = pytest.mark.skipif(sys.platform != "linux", reason="threads and cores are those of Linux")
two_cores = pytest.mark.skipif(len(USABLE) < 2, reason="needs two cores of Linux")


@two_cores
def test_as_many_processes_as_cores_have_one_each() -> None:
    two = sorted(USABLE)[:2]

    def work() -> None:
        own = ranks.gathered(sorted(os.sched_getaffinity(0)))
        assert own == [[core] for core in two]
        (receiving,) = cores.receiving_threads()
        assert os.sched_getaffinity(receiving) == {two[ranks.rank()]}

    os.sched_setaffinity(0, two)
    try:
        several_ranks.run(2, work)
    finally:
        os.sched_setaffinity(0, USABLE)


@linux
@pytest.mark.parametrize(("usable", "processes", "threads"), [(2, 1, 1), (1, 1, 1), (3, 2, 1), (2, 3, 1), (2, 2, 2)])
def test_other_processes_are_not_bound(
    usable: int, processes: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(usable)))
    bound: list[object] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *to: bound.append(to))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    cores.keep_to_own()
    assert bound == []


def test_a_run_sets_its_threads_before_its_processes_are_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Met(Exception):
        pass

    def meet(_: float) -> None:
        raise Met(torch.get_num_threads())

    monkeypatch.setattr(distributed, "together", meet)
    before = torch.get_num_threads()
    try:
        with pytest.raises(Met, match=f"^{before + 1}$"):
            train(compose([*OVERRIDES, f"exp_dir={tmp_path}", f"train.threads={before + 1}"]))
    finally:
        torch.set_num_threads(before)


@linux
def test_only_the_thread_that_receives_is_of_the_batch_policy() -> None:
    def work() -> None:
        (receiving,) = cores.receiving_threads()
        policies = {int(task.name): os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}
        assert policies.pop(receiving) == os.SCHED_BATCH
        assert set(policies.values()) == {os.SCHED_OTHER}

    several_ranks.run(2, work)


@linux
def test_without_permission_threads_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def forbid(thread: int, *_: object) -> None:
        asked.append(thread)
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    monkeypatch.setattr(cores, "receiving_threads", lambda: [7, 8])
    cores.receive_without_interrupting()
    assert asked == [7, 8]


def test_where_the_system_tells_no_threads_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cores, "_THREADS", tmp_path / "absent")
    assert cores.receiving_threads() == []
