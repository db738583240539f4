"""Measure how much faster two processes train than one, each of one thread.

    python -m tools.bench_ranks [--repeats 5] [--steps 60] [--ranks 2] [-- recipe=an4_ctc_ligru]

Both make the same updates with the same batches. One process and several take turns; the first 10 updates, in which
caches fill, are not counted: each time is that of a run less that of a run of 10. The machine must have as many idle
cores as there are processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

WARM_UP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="updates that are timed")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("overrides", nargs="*", default=["recipe=an4_ctc_ligru"], metavar="KEY=VALUE")
    options = parser.parse_args()
    times: dict[int, list[float]] = {1: [], options.ranks: []}
    with tempfile.TemporaryDirectory(prefix="bench-ranks-") as folder:
        for turn in range(options.repeats):
            for number, found in times.items():
                name = f"{folder}/{turn}-{number}"
                warm_up_s = train(number, WARM_UP, f"{name}-warm", options.overrides)
                found.append(train(number, WARM_UP + options.steps, name, options.overrides) - warm_up_s)
            print(", ".join(f"{number}: {found[-1]:.2f} s" for number, found in times.items()), flush=True)
    for number, found in times.items():
        low, middle, high = (1000 * f(found) / options.steps for f in (min, statistics.median, max))
        print(f"{number} process{'es' if number > 1 else ''}: {middle:.1f} ms an update ({low:.1f} to {high:.1f})")
    ratios = [one / several for one, several in zip(*times.values(), strict=True)]
    print(f"{options.ranks} processes are {statistics.median(ratios):.2f} times as fast "
          f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


def train(number: int, steps: int, run_dir: str, overrides: Sequence[str]) -> float:
    """Return the seconds that so many updates took."""
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(number)] if number > 1 else []
    settings = [f"exp_dir={run_dir}", f"train.max_steps={steps}", "train.threads=1", "train.progress=false",
                "decode.split=none", "train.save_every_s=0"]  # fmt: skip
    command = [sys.executable, *launcher, "-m", "asr_ligru", "train", *overrides, *settings]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(done.stderr)
    record = json.loads((Path(run_dir) / "run.json").read_text(encoding="utf-8"))
    return float(record["train_s"])


if __name__ == "__main__":
    main()
