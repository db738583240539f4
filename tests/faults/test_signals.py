"""A run that is stopped or killed from outside: the same command finishes it, with the bits of an unbroken one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from asr_ligru.train import checkpoint
from asr_ligru.train.lock import run_lock
from tests.faults.tiny_run import TIMEOUT_S, assert_equal_runs, disturb, finish, newest, start, workers_of
from tests.tiny_corpus import write_corpus

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129, signal.SIGKILL: -9}
WORKERS = ("train.num_workers=2",)
SINGLE = ("train.max_batch_size=1",)  # of such batches some are not read ahead yet when workers are halted


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=12)


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    finish(corpus, folder)
    return folder


def stop(signum: signal.Signals, updates: int, corpus: Path, run_dir: Path, *more: str, delay_s: float = 0.0) -> None:
    """Start or go on with a run, and send its process group a signal when it has saved so many updates more."""

    def act(process: subprocess.Popen[bytes]) -> None:
        time.sleep(delay_s)
        os.killpg(process.pid, signum)

    code, messages = disturb(act, updates, corpus, run_dir, *more)
    assert code == CODES[signum], messages
    assert "Traceback" not in messages
    assert not (run_dir / "run.json").exists()


def lose_workers(kind: str, updates: int, corpus: Path, run_dir: Path, *more: str) -> None:
    """Kill or halt the processes that read data, as they come; the run says so and ends with 4."""
    signum, said = {"kill": (signal.SIGKILL, "was killed"), "halt": (signal.SIGSTOP, "gave no answer")}[kind]

    def act(process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + TIMEOUT_S
        while process.poll() is None and time.monotonic() < until:
            for worker in workers_of(process):
                with suppress(ProcessLookupError):
                    os.kill(worker, signum)

    patience = ["train.worker_timeout_s=3"] if kind == "halt" else []
    code, messages = disturb(act, updates, corpus, run_dir, *WORKERS, *patience, *more)
    assert (code, "Traceback" in messages) == (4, False), messages
    assert f"a process that reads data {said}" in messages
    assert "train.num_workers" in messages


def test_train_asked_to_stop_saves_ends_with_the_signals_code_and_is_finished_bitwise(
    corpus: Path, unbroken: Path, tmp_path: Path
) -> None:
    stop(signal.SIGTERM, 3, corpus, tmp_path, *WORKERS)
    before = newest(tmp_path)
    assert checkpoint.load(checkpoint.folder_of(tmp_path / "checkpoints", before)).state["run"]["step"] == before
    stop(signal.SIGINT, 4, corpus, tmp_path)
    assert newest(tmp_path) >= before + 4
    finish(corpus, tmp_path)
    assert_equal_runs(tmp_path, unbroken)


def test_train_killed_or_without_its_workers_is_finished_bitwise(corpus: Path, unbroken: Path, tmp_path: Path) -> None:
    lose_workers("kill", 3, corpus, tmp_path)
    stop(signal.SIGKILL, 5, corpus, tmp_path, *WORKERS, delay_s=0.01)
    finish(corpus, tmp_path)
    assert_equal_runs(tmp_path, unbroken)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL", "kill"])
def test_train_disturbed_five_times_leaves_no_process_and_is_finished_bitwise(
    kind: str, corpus: Path, unbroken: Path, tmp_path: Path
) -> None:
    if kind == "SIGHUP" and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        pytest.skip("started with nohup, which runs inherit")
    draw = random.Random(kind)
    for _ in range(5):
        updates = draw.randint(1, 3)
        if kind == "kill":
            lose_workers(kind, updates, corpus, tmp_path)
        else:
            stop(signal.Signals[kind], updates, corpus, tmp_path, *WORKERS, delay_s=draw.uniform(0.0, 0.02))
    finish(corpus, tmp_path)
    assert_equal_runs(tmp_path, unbroken)


@pytest.mark.fuzz
def test_train_with_halted_workers_ends_and_is_finished_bitwise(corpus: Path, tmp_path: Path) -> None:
    for updates in (1, 15, 2, 20, 3):
        lose_workers("halt", updates, corpus, tmp_path / "run", *SINGLE)
    finish(corpus, tmp_path / "run", *SINGLE)
    finish(corpus, tmp_path / "unbroken", *SINGLE)
    assert_equal_runs(tmp_path / "run", tmp_path / "unbroken")


@pytest.mark.fuzz
def test_train_stopped_before_the_first_update_ends_at_once(corpus: Path, tmp_path: Path) -> None:
    with start(corpus, tmp_path) as process:
        while not (tmp_path / "config.json").is_file():
            assert process.poll() is None, process.communicate()[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 143
        assert b"stopped" in process.communicate()[1]


def assert_one_runs_of(number: int, corpus: Path, run_dir: Path) -> None:
    """Start so many runs in one folder: one goes on until it is killed, the others are refused."""
    runs = [start(corpus, run_dir, "train.epochs=9999") for _ in range(number)]
    try:
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until and (
            sum(run.poll() is not None for run in runs) < number - 1 or newest(run_dir) == 0
        ):
            time.sleep(0.05)
        (winner,) = (run for run in runs if run.poll() is None)
        for run in runs:
            if run is not winner:
                messages = run.communicate()[1].decode()
                assert run.returncode == 2, messages
                assert f"in use by process {winner.pid} on " in messages
                assert "Traceback" not in messages
    finally:
        for run in runs:
            run.kill()
            run.wait()
            if run.stderr is not None:
                run.stderr.close()
    with run_lock(run_dir):  # free at once
        assert checkpoint.latest(run_dir / "checkpoints") is not None


def test_train_two_started_together_one_runs(corpus: Path, tmp_path: Path) -> None:
    assert_one_runs_of(2, corpus, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("attempt", range(5))
def test_train_eight_started_together_one_runs(attempt: int, corpus: Path, tmp_path: Path) -> None:
    assert_one_runs_of(8, corpus, tmp_path)
