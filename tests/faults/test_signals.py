"""A run that is stopped or killed from outside: the same command finishes it, with the bits of an unbroken one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru.models.folder import read_model_folder
from asr_ligru.train import checkpoint
from tests.tiny_corpus import OVERRIDES, write_corpus

TIMEOUT_S = 120.0
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=12)


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    finish(corpus, folder)
    return folder


def start(corpus: Path, run_dir: Path) -> subprocess.Popen[str]:
    """Start a run that writes a checkpoint after every update."""
    overrides = [*OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={run_dir}", "train.epochs=30", "decode.split=none",
                 "train.augment.speed=[0.9,1.1]", "train.average_best=2", "train.save_every_s=1e-6"]  # fmt: skip
    command = [sys.executable, "-m", "asr_ligru", "train", *overrides]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(corpus: Path, run_dir: Path) -> None:
    with start(corpus, run_dir) as process:
        _, messages = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, messages


def stop(signum: signal.Signals, updates: int, corpus: Path, run_dir: Path, delay_s: float = 0.0) -> None:
    """Start or continue a run, and send it a signal when it has saved so many updates more."""
    target = newest(run_dir) + updates
    with start(corpus, run_dir) as process:
        try:
            until = time.monotonic() + TIMEOUT_S
            while newest(run_dir) < target:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < until, f"no checkpoint of update {target} after {TIMEOUT_S} s"
                time.sleep(0.002)
            time.sleep(delay_s)
            process.send_signal(signum)
            assert process.wait(TIMEOUT_S) == CODES[signum]
        finally:
            process.kill()
    assert not (run_dir / "run.json").exists()


def newest(run_dir: Path) -> int:
    return max(checkpoint.steps(run_dir / "checkpoints"), default=0)


def tensors_and_metrics(run_dir: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return read_model_folder(run_dir / "model").tensors, [json.loads(line) for line in lines]


def assert_equal_runs(run_dir: Path, unbroken: Path) -> None:
    (got, got_metrics), (expected, metrics) = tensors_and_metrics(run_dir), tensors_and_metrics(unbroken)
    assert got_metrics == metrics
    assert got.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(got[name], expected[name])] == []
    for folder in (".", "checkpoints"):
        assert sorted(os.listdir(run_dir / folder)) == sorted(os.listdir(unbroken / folder))


def test_train_asked_to_stop_saves_ends_with_the_signals_code_and_is_finished_bitwise(
    corpus: Path, unbroken: Path, tmp_path: Path
) -> None:
    stop(signal.SIGTERM, 3, corpus, tmp_path)
    before = newest(tmp_path)
    assert checkpoint.load(checkpoint.folder_of(tmp_path / "checkpoints", before)).state["run"]["step"] == before
    stop(signal.SIGINT, 4, corpus, tmp_path)
    assert newest(tmp_path) >= before + 4
    finish(corpus, tmp_path)
    assert_equal_runs(tmp_path, unbroken)


def test_train_killed_twice_at_random_moments_is_finished_bitwise(corpus: Path, unbroken: Path, tmp_path: Path) -> None:
    assert_survives_kills(0, 2, corpus, tmp_path, unbroken)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(1, 11))
def test_train_killed_often_at_random_moments_is_finished_bitwise(
    seed: int, corpus: Path, unbroken: Path, tmp_path: Path
) -> None:
    assert_survives_kills(seed, 4, corpus, tmp_path, unbroken)


@pytest.mark.fuzz
@pytest.mark.parametrize("updates", [1, 2, 7])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_train_stopped_after_any_update_is_finished_bitwise(
    signum: signal.Signals, updates: int, corpus: Path, unbroken: Path, tmp_path: Path
) -> None:
    stop(signum, updates, corpus, tmp_path)
    finish(corpus, tmp_path)
    assert_equal_runs(tmp_path, unbroken)


def assert_survives_kills(seed: int, times: int, corpus: Path, run_dir: Path, unbroken: Path) -> None:
    """Kill a run so many times, each time soon after a random update, then finish it."""
    rng = random.Random(seed)
    for _ in range(times):
        stop(signal.SIGKILL, rng.randint(1, 6), corpus, run_dir, rng.uniform(0.0, 0.02))
    finish(corpus, run_dir)
    assert_equal_runs(run_dir, unbroken)
