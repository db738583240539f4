"""Training runs on the corpus of tones, each in a process of its own that a test may stop, kill or disturb."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from asr_ligru.train import checkpoint
from tests.tiny_corpus import OVERRIDES

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
KILL_TRAIN = importlib.import_module("kill_train")
TIMEOUT_S = 120.0
SETTINGS = (*OVERRIDES, "train.epochs=10", "decode.split=none", "train.augment.speed=[0.9,1.1]", "train.average_best=2")


def start(corpus: Path, run_dir: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start a run that writes a checkpoint after every update, in a process group of its own."""
    process: subprocess.Popen[bytes] = KILL_TRAIN.start([*SETTINGS, f"corpus.dir={corpus}", *more], run_dir)
    return process


def finish(corpus: Path, run_dir: Path, *more: str) -> None:
    with start(corpus, run_dir, *more) as process:
        _, messages = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, messages.decode()


def newest(run_dir: Path) -> int:
    return max(checkpoint.steps(run_dir / "checkpoints"), default=0)


def disturb(
    act: Callable[[subprocess.Popen[bytes]], None], updates: int, corpus: Path, run_dir: Path, *more: str
) -> tuple[int, str]:
    """Start or go on with a run, ``act`` when it has saved so many updates more; return exit code and messages.

    The run ends then, and so does every process it has started; after how many seconds is printed.
    """
    target = newest(run_dir) + updates
    with start(corpus, run_dir, *more) as process:
        try:
            until = time.monotonic() + TIMEOUT_S
            while newest(run_dir) < target:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < until, f"no checkpoint of update {target} after {TIMEOUT_S} s"
                time.sleep(0.002)
            acted = time.monotonic()
            act(process)
            code = process.wait(TIMEOUT_S)
            assert KILL_TRAIN.group_ends(process.pid, TIMEOUT_S), "a process is left"
            print(f"exit {code} after {time.monotonic() - acted:.1f} s")
            return code, process.communicate()[1].decode()
        finally:
            process.kill()


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:  # it has ended in the meantime
            continue
        if parent == process.pid:
            found.append(int(stat.parent.name))
    return found


def assert_equal_runs(run_dir: Path, unbroken: Path, but: Sequence[str] = ("config.json", "model/model.json")) -> None:
    """Compare every file; those in ``but`` hold settings that a run may be continued with others of."""
    assert [name for name in KILL_TRAIN.differences(run_dir, unbroken) if name not in but] == []
