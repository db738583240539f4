"""A run by two processes, of which one or their launcher is killed or stopped: all end, and the command goes on."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from asr_ligru.train import checkpoint
from tests.faults.tiny_run import SETTINGS, assert_equal_runs, newest
from tests.tiny_corpus import write_corpus

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "asr_ligru", "train")
END_S = 30.0  # a run ends within so long after a process was killed
WAIT_S = 10.0  # how long one waits for another
START_S = 180.0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=12)


@contextmanager
def started(corpus: Path, run_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a run that saves after every update; at the end no process of it is there."""
    more = (f"corpus.dir={corpus}", f"exp_dir={run_dir}", "train.save_every_s=1e-6", f"train.ddp_timeout_s={WAIT_S}")
    command = [*TORCHRUN, *SETTINGS, *more, "train.epochs=20"]  # enough for five disturbances, however fast it is
    with (
        (run_dir / "messages").open("w", encoding="utf-8") as file,
        subprocess.Popen(command, stdout=file, stderr=file, text=True) as process,
    ):
        try:
            yield process
        finally:
            for pid in (process.pid, *ranks_of(run_dir).values()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def messages(run_dir: Path) -> str:
    return (run_dir / "messages").read_text(encoding="utf-8")


def ranks_of(run_dir: Path) -> dict[int, int]:
    """Return the process of each rank of a run, the processes that read its data left out."""
    found: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text(encoding="utf-8").split("\0")
            variables = dict(v.partition("=")[::2] for v in (folder / "environ").read_text("utf-8").split("\0"))
        except (OSError, UnicodeDecodeError):  # it has ended, or is not ours
            continue
        if f"exp_dir={run_dir}" in words and "RANK" in variables:
            found[int(variables["RANK"])] = int(folder.name)
    return found


def wait_for_updates(number: int, run_dir: Path, process: subprocess.Popen[str]) -> None:
    target, until = newest(run_dir) + number, time.monotonic() + START_S
    while newest(run_dir) < target:
        assert process.poll() is None, messages(run_dir)
        assert time.monotonic() < until, f"no checkpoint of update {target}"
        time.sleep(0.005)


def disturb(kind: str, corpus: Path, run_dir: Path, updates: int = 2, delay_s: float = 0.0) -> None:
    """Start or go on with a run, and disturb it after some updates.

    Args:
        kind: what happens to whom, such as "SIGKILL 1" (a rank) or "SIGTERM launcher".
        corpus: what it trains on.
        run_dir: its folder.
        updates: that are waited for.
        delay_s: and so long after them.
    """
    name, whom = kind.split()
    with started(corpus, run_dir) as process:
        wait_for_updates(updates, run_dir, process)
        pids = ranks_of(run_dir)
        assert pids.keys() == {0, 1}
        time.sleep(delay_s)
        disturbed = process.pid if whom == "launcher" else pids[int(whom)]
        os.kill(disturbed, signal.Signals[name])
        acted = time.monotonic()
        limit_s = END_S + (WAIT_S if name == "SIGSTOP" else 0.0)
        assert process.wait(limit_s) != 0
        while ranks_of(run_dir) and time.monotonic() - acted < limit_s:
            time.sleep(0.05)
        print(f"{kind}: ended after {time.monotonic() - acted:.1f} s")
        assert not ranks_of(run_dir), "a process is left"
    said = messages(run_dir)
    if whom != "launcher":
        condition = "is stopped" if name == "SIGSTOP" else "has ended"
        assert re.search(rf"rank {whom} \(process {disturbed} on .*\) {condition}", said), said
    if name == "SIGKILL" and whom != "launcher":
        assert "(SIGKILL)" in said
    assert checkpoint.latest(run_dir / "checkpoints") is not None
    assert not (run_dir / "run.json").exists()


def finish(corpus: Path, run_dir: Path) -> None:
    with started(corpus, run_dir) as process:
        assert process.wait(START_S) == 0, messages(run_dir)
    (run_dir / "messages").unlink()


def test_train_by_two_ranks_ends_when_one_is_killed_or_stopped_and_goes_on(corpus: Path, tmp_path: Path) -> None:
    disturb("SIGKILL 0", corpus, tmp_path)
    before = newest(tmp_path)
    disturb("SIGSTOP 1", corpus, tmp_path)
    assert newest(tmp_path) >= before + 2


@pytest.mark.fuzz
@pytest.mark.parametrize(
    "kind",
    ["SIGKILL 0", "SIGKILL 1", "SIGSTOP 0", "SIGSTOP 1", "SIGTERM launcher", "SIGINT launcher", "SIGKILL launcher"],
)
def test_train_by_two_ranks_disturbed_five_times_is_finished_bitwise(kind: str, corpus: Path, tmp_path: Path) -> None:
    unbroken, broken, draw = tmp_path / "unbroken", tmp_path / "broken", random.Random(kind)
    for folder in (unbroken, broken):
        folder.mkdir()
    finish(corpus, unbroken)
    for _ in range(5):
        disturb(kind, corpus, broken, draw.randint(1, 3), draw.uniform(0.0, 0.05))
    finish(corpus, broken)
    assert_equal_runs(broken, unbroken)
