"""The thread that receives messages of other processes is told not to interrupt those that compute."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from asr_ligru.train import gloo
from tests import several_ranks

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads are found in Linux' /proc")


@linux
def test_only_the_thread_that_receives_is_of_the_batch_policy() -> None:
    def work() -> None:
        (receiving,) = gloo.receiving_threads()
        policies = {int(task.name): os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}
        assert policies.pop(receiving) == os.SCHED_BATCH
        assert set(policies.values()) == {os.SCHED_OTHER}

    several_ranks.run(2, work)


@linux
def test_without_permission_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    monkeypatch.setattr(gloo, "receiving_threads", lambda: [os.getpid()])
    gloo.receive_without_interrupting()


def test_where_the_system_tells_no_threads_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gloo, "_THREADS", tmp_path / "absent")
    assert gloo.receiving_threads() == []
