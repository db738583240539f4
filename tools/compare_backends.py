"""Train the first steps of a recipe with one backend of the recurrence and with another: same losses, which time?

    python tools/compare_backends.py recipe=an4_ctc cell=ligru
    python tools/compare_backends.py --backends auto stepped reference --steps 50 recipe=an4_ctc cell=libru

All that is random is drawn from the recipe's seed, so the steps see the same batches and dropout. Losses then differ by
rounding alone, which training slowly amplifies. Times are processor time of one thread, which other work on the machine
disturbs little: the whole step with features' augmentation, model, loss and optimiser.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_ligru.compose import compose
from asr_ligru.config import Config
from asr_ligru.models.build import build_model
from asr_ligru.nn.frontend import StackFrames
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.corpus import Corpus, load_corpus
from asr_ligru.train.interrupt import StopRequest
from asr_ligru.train.progress import ProgressBar
from asr_ligru.train.state import RunState


class Enough(Exception):
    """All steps that were wanted are done."""


@dataclass
class Steps:
    """What the first steps of a training cost and gave."""

    wanted: int
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    in_epoch: int = 0


class Measured(AsrBrain):
    """Notes loss and time of each step, and stops after the last."""

    def __init__(self, steps: Steps, *arguments: Any, **keys: Any) -> None:
        super().__init__(*arguments, **keys)
        self.steps, steps.in_epoch = steps, len(self.train_batches.batches)
        self.started = time.process_time()

    def fit_batch(self, batch: Any) -> Tensor:
        """Use one batch as ever."""
        loss = super().fit_batch(batch)
        now = time.process_time()
        self.steps.losses.append(float(loss))
        self.steps.seconds.append(now - self.started)
        if len(self.steps.losses) == self.steps.wanted:
            raise Enough
        self.started = now
        return loss


def first_steps(config: Config, corpus: Corpus, backend: str, wanted: int) -> Steps:
    """Train from the recipe's seed with ``backend``."""
    steps = Steps(wanted)
    train(partial(Measured, steps), replace(config, cell=replace(config.cell, backend=backend)), corpus)
    return steps


def train(brain: Callable[..., AsrBrain], config: Config, corpus: Corpus) -> None:
    """Train from the recipe's seed until a ``brain`` has ``Enough``."""
    torch.manual_seed(config.seed)
    model = build_model(config, corpus.source.frontend.size, corpus.tokenizer.vocab_size)
    with tempfile.TemporaryDirectory() as folder, ProgressBar("", 1, enabled=False) as bar:
        where = {"device": "cpu", "run_dir": Path(folder), "save": lambda: None, "stop": StopRequest(), "bar": bar}
        with contextlib.suppress(Enough):
            brain(config, model, corpus, RunState(), **where).run()


def load(config: Config) -> Corpus:
    return load_corpus(
        config,
        Path(config.corpus.dir) / "features" if config.features.cache else None,
        StackFrames(config.model.stack_frames).output_length,
        lambda label, total: ProgressBar(label, total, enabled=False),
        [],
    )


def report(found: dict[str, Steps]) -> None:
    """Print the losses side by side, then times as ratios to the last backend's."""
    last = list(found)[-1]
    base = found[last]
    print("| step |" + "".join(f" {name} |" for name in found) + " largest difference |")
    print("|---" * (len(found) + 2) + "|")
    furthest = 0.0
    for step, expected in enumerate(base.losses):
        losses = [steps.losses[step] for steps in found.values()]
        off = max(abs(loss / expected - 1) for loss in losses)
        furthest = max(furthest, off)
        print(f"| {step + 1} |" + "".join(f" {loss:.6f} |" for loss in losses) + f" {off:.1e} |")
    print(f"\nlargest difference of a loss: {furthest:.1e} of it")
    for name, steps in found.items():
        ratios = [one / other for one, other in zip(steps.seconds[1:], base.seconds[1:], strict=True)]
        epoch = statistics.mean(steps.seconds[1:]) * steps.in_epoch
        ratio = statistics.median(ratios)
        print(
            f"{name}: {sum(steps.seconds):.1f} s for {len(steps.seconds)} steps, {epoch:.0f} s for an epoch of "
            f"{steps.in_epoch}; {ratio:.3f} of {last} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="as of `asr-ligru train`")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--backends", nargs="+", default=["auto", "reference"], help="compared with the last")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = compose(options.overrides)
    corpus = load(config)
    report({backend: first_steps(config, corpus, backend, options.steps) for backend in options.backends})


if __name__ == "__main__":
    main()
