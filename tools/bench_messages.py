"""Measure how long processes of one machine take to add up a table that all have at the same moment.

    torchrun --nproc_per_node 2 -m tools.bench_messages [--numbers 1025] [--without binding policy]

Between two messages they compute until a moment of the clock that they share. ``--without`` leaves out what
``asr_ligru.train.cores`` does.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from asr_ligru import ranks
from asr_ligru.train import cores, distributed

EVERY_S = 0.02
WARM_UP = 20
PARTS: dict[str, Callable[[], None]] = {
    "binding": cores.keep_to_own,
    "policy": cores.receive_without_interrupting,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, default=1025, help="in a table, float32")
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--without", nargs="*", choices=PARTS, default=[])
    options = parser.parse_args()
    for name in options.without:
        setattr(cores, PARTS[name].__name__, lambda: None)
    with distributed.together(60):
        table = torch.zeros(options.numbers)
        times = sorted([taken(table) for _ in range(WARM_UP + options.messages)][WARM_UP:])
        for line in ranks.gathered(
            f"process {ranks.rank()}: median {statistics.median(times):.2f} ms, mean {statistics.fmean(times):.2f}, "
            f"{sum(t > 2 for t in times) / len(times):.1%} above 2 ms"
        ):
            if ranks.is_first():
                print(line)
    distributed.leave()


def taken(table: torch.Tensor) -> float:
    """Wait for the next moment, add a table up, and return the milliseconds."""
    moment = (time.monotonic() // EVERY_S + 1) * EVERY_S
    while time.monotonic() < moment:
        pass
    ranks.add_up(table)
    return 1000 * (time.monotonic() - moment)


if __name__ == "__main__":
    main()
