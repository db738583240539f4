"""Measure how much faster two processes train than one, each computing with one thread on a core of its own.

    python -m tools.bench_ranks [--turns 40] [--updates 5] [--ranks 2] [--free] [-- recipe=an4_ctc_ligru]

Both make the same updates with the same batches, and take turns of some updates, a second or two: one waits while
the other works. The first update of a turn is not counted, nor are the first two turns, in which caches fill. The
machine must have as many idle cores as there are processes. With ``--free`` the one process may use them all: it
computes on one, but its batches are read on another.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from asr_ligru.cli import main as asr_ligru
from asr_ligru.train.brain import AsrBrain
from asr_ligru.typing import Batch

FILLING = 2  # turns that are not counted
TOOK = "turn took "
SETTINGS = ["train.threads=1", "train.progress=false", "train.save_every_s=0", "train.eval_every=1000"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--updates", type=int, default=5, help="that are timed in each turn")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--free", action="store_true", help="do not bind the one process to a core")
    parser.add_argument("--exp-dir", help=argparse.SUPPRESS)  # of one of the two
    parser.add_argument("overrides", nargs="*", default=["recipe=an4_ctc_ligru"], metavar="KEY=VALUE")
    options = parser.parse_args()
    if options.exp_dir:
        train_in_turns(options.exp_dir, options.updates, options.overrides)
    else:
        core = None if options.free else min(os.sched_getaffinity(0))
        compare(options.ranks, options.turns, options.updates, options.overrides, core)


def compare(several: int, turns: int, updates: int, overrides: Sequence[str], core: int | None) -> None:
    """Let one process and ``several`` take turns, and print what each turn took."""
    with tempfile.TemporaryDirectory(prefix="bench-ranks-") as folder:
        numbers = (1, several)
        with running(numbers, folder, updates, overrides, core) as pipes:
            times = [[next(pipes[number]) for number in numbers] for _ in range(FILLING + turns)][FILLING:]
    for number, found in zip(numbers, zip(*times, strict=True), strict=True):
        low, middle, high = (1000 * f(found) / updates for f in (min, statistics.median, max))
        print(f"{number} process{'es' if number > 1 else ''}: {middle:.1f} ms an update ({low:.1f} to {high:.1f})")
    ratios = [one / rest for one, rest in times]
    lower, _, upper = statistics.quantiles(ratios, n=4)
    print(f"{several} processes are {statistics.median(ratios):.2f} times as fast (half of the turns "
          f"{lower:.2f} to {upper:.2f}, all {min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


@contextmanager
def running(
    numbers: Sequence[int], folder: str, updates: int, overrides: Sequence[str], core: int | None
) -> Iterator[dict[int, Iterator[float]]]:
    """Start a run by each number of processes, and give what lets it take turns and returns the seconds of each.

    One process is bound to ``core``; several bind themselves.
    """
    runs: dict[int, subprocess.Popen[str]] = {}
    try:
        for number in numbers:
            launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(number)] if number > 1 else []
            options = ["--exp-dir", f"{folder}/{number}", "--updates", str(updates)]
            runs[number] = subprocess.Popen(
                [sys.executable, *launcher, "-m", "tools.bench_ranks", *options, *overrides],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
            )
            if number == 1 and core is not None:
                os.sched_setaffinity(runs[number].pid, {core})
        yield {number: turns_of(run) for number, run in runs.items()}
    finally:
        for run in runs.values():
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def turns_of(run: subprocess.Popen[str]) -> Iterator[float]:
    """Let a run take a turn, again and again, and give the seconds of each."""
    assert run.stdin is not None
    assert run.stdout is not None
    while True:
        print("go", file=run.stdin, flush=True)
        for line in run.stdout:
            if line.startswith(TOOK):
                break
        else:
            raise SystemExit("a run ended before its last turn")
        yield float(line.removeprefix(TOOK))


def train_in_turns(exp_dir: str, updates: int, overrides: Sequence[str]) -> None:
    """Train; the first process waits before each turn until it may go on, and the others for it."""
    fit_batch = AsrBrain.fit_batch
    done, started = 0, 0.0

    def in_turns(self: AsrBrain, batch: Batch) -> Tensor:
        nonlocal done, started
        if done % (updates + 1) == 0:
            if done:
                print(f"{TOOK}{time.perf_counter() - started}", flush=True)
            sys.stdin.readline()
        elif done % (updates + 1) == 1:
            started = time.perf_counter()
        done += 1
        return fit_batch(self, batch)

    if int(os.environ.get("RANK", "0")) == 0:
        AsrBrain.fit_batch = in_turns  # type: ignore[method-assign]
    asr_ligru(["train", *overrides, f"exp_dir={exp_dir}", *SETTINGS])


if __name__ == "__main__":
    main()
