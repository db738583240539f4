"""Train epochs of a recipe in turns, with a thread that reads the next batch and without: which time, how much waiting?

    python -m tools.bench_reading --turns 12 recipe=an4_ctc_ligru
    python -m tools.bench_reading --turns 8 recipe=an4_ctc_ligru features.cache=false

One process, no evaluation. The first turn is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
from functools import partial
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line has it

import torch
from torch.utils.data import DataLoader

from asr_ligru.compose import compose
from asr_ligru.ops.fused_cpu.memory import keep_few_kernels, keep_freed_memory
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.workers import Loader
from tools.compare_backends import Enough, load, train


class InTurns(AsrBrain):
    """Has the thread in odd epochs, and notes the seconds of each and how many of them it waited."""

    def __init__(self, found: list[tuple[float, float]], turns: int, *arguments: Any, **keys: Any) -> None:
        super().__init__(*arguments, **keys)
        self.found, self.turns = found, turns

    def _fit_train(self, train_set: Loader, epoch: int, enable: bool) -> None:
        with_thread = epoch % 2 == 1
        super()._fit_train(train_set if with_thread else _as_asked(train_set), epoch, enable)
        took_s, waited_s = self.state.epoch_s, self.state.wait_s
        self.found.append((took_s, waited_s))
        print(f"{'with' if with_thread else 'without'}: {took_s:.2f} s, waited {waited_s:.2f} s", flush=True)

    def _fit_valid(self, valid_set: Loader, epoch: int, enable: bool) -> None:
        if epoch == 2 * self.turns:
            raise Enough
        self.state.start_epoch(epoch + 1)


def _as_asked(batches: Loader) -> Loader:
    """Return what reads the same batches one by one, when they are asked for."""
    return DataLoader(batches.dataset, batch_sampler=batches.batch_sampler, collate_fn=batches.collate_fn)


def report(found: list[tuple[float, float]]) -> None:
    """Print the share of waiting with and without, and the ratio of the times, turn by turn."""
    turns = list(zip(found[::2], found[1::2], strict=True))[1:]
    for name, part in zip(("with", "without"), zip(*turns, strict=True), strict=True):
        share = sum(waited for _, waited in part) / sum(took for took, _ in part)
        print(f"{name}: waited {share:.2%} of the time")
    ratios = [without / with_ for (with_, _), (without, _) in turns]
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"time without, to that with: {statistics.median(ratios):.3f}, the median of {len(ratios)} ({spread})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="as of `asr-ligru train`")
    parser.add_argument("--turns", type=int, default=8, help="epochs with and epochs without")
    options = parser.parse_args()
    config = compose([*options.overrides, f"train.epochs={2 * options.turns}"])
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    keep_freed_memory()
    keep_few_kernels()
    found: list[tuple[float, float]] = []
    train(partial(InTurns, found, options.turns), config, load(config))
    report(found)


if __name__ == "__main__":
    main()
