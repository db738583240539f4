"""Measure how long it takes to estimate the fMLLR transforms of a corpus, on one core.

    python tools/bench_fmllr.py [--speakers 74 150 300] [--repeats 3] [--figure docs/figures/fmllr_time.png]

A speaker has as many frames as one of AN4's training set on average (40.9 s of speech), random ones of 40 features: the
time does not depend on their values. Two routes:

- ubm: posteriors of all 256 Gaussians of a background model for each frame;
- hmm: 2000 Gaussians of 500 tied states, posteriors within the tied state that a frame is aligned with.

A line has the median over the repeats of the processor time, for statistics, update and both, and of the time that
passed. The first number of speakers is AN4's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr_ligru.features import fmllr
from asr_ligru.features.fmllr import Estimate
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.hmm.diag_gmm import DiagGmm
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.ubm import Ubm

DIM, FRAMES_OF_SPEAKER, FRAMES_PER_HOUR = 40, 4090, 360_000
NUM_GAUSS, NUM_PDFS, GAUSS_PER_PDF = 256, 500, 4
Route = Callable[[], FmllrStats]


def mixture(num_gauss: int, generator: torch.Generator) -> DiagGmm:
    means = torch.randn(num_gauss, DIM, generator=generator, dtype=torch.float64)
    return DiagGmm(torch.full((num_gauss,), 1 / num_gauss).double(), means, torch.ones_like(means))


def routes(feats: Tensor, generator: torch.Generator) -> dict[str, Route]:
    """Return what makes the statistics of one speaker, for each route."""
    ubm = Ubm(mixture(NUM_GAUSS, generator))
    gmms = GmmSet.of([mixture(GAUSS_PER_PDF, generator) for _ in range(NUM_PDFS)])
    pdfs = torch.randint(NUM_PDFS, (len(feats),), generator=generator)

    def hmm() -> FmllrStats:
        post, gauss, _ = gmms.posteriors_within(feats, pdfs)
        return FmllrStats.zeros(DIM).accumulate(feats, post, gmms.gauss.means, gmms.gauss.inv_vars, gauss=gauss)

    return {"ubm": lambda: ubm.statistics([feats]), "hmm": hmm}


def estimate(route: Route, num_speakers: int) -> tuple[Estimate, tuple[float, float, float]]:
    """Estimate the transforms; return them and seconds: statistics, update (processor), both (clock)."""
    clock, found, sums, updates = time.perf_counter(), [], 0.0, 0.0
    for first in range(0, num_speakers, fmllr.BATCH):
        start = time.process_time()
        speakers = range(first, min(first + fmllr.BATCH, num_speakers))
        stats = FmllrStats.stack([route() for _ in speakers])
        middle = time.process_time()
        found.append(fmllr.estimate(stats))
        sums, updates = sums + middle - start, updates + time.process_time() - middle
    return fmllr.join(found), (sums, updates, time.perf_counter() - clock)


def measure(route: Route, num_speakers: int, repeats: int) -> tuple[float, float, float]:
    times = []
    for _ in range(repeats):
        found, seconds = estimate(route, num_speakers)
        assert set(found.kinds) == {"full"}
        times.append(seconds)
    return tuple(map(statistics.median, zip(*times, strict=True)))  # type: ignore[return-value]


def plot(path: Path, hours: list[float], seconds: dict[str, list[float]]) -> None:
    """Draw processor time over hours of speech, with the straight line through the largest point."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 3), dpi=80, layout="constrained")
    axes = figure.add_subplot(xlabel="hours of speech", ylabel="processor seconds", title="fMLLR estimation, one core")
    for (name, values), marker in zip(seconds.items(), "os", strict=True):
        (line,) = axes.plot(hours, values, marker, label=name)
        axes.plot([0, hours[-1]], [0, values[-1]], color=line.get_color(), linewidth=0.8)
    axes.set(xlim=0, ylim=0)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speakers", type=int, nargs="+", default=[74, 150, 300])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--figure", type=Path, help="where the plot goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    feats = torch.randn(FRAMES_OF_SPEAKER, DIM, generator=generator)
    hours = [n * FRAMES_OF_SPEAKER / FRAMES_PER_HOUR for n in arguments.speakers]
    total: dict[str, list[float]] = {}
    heads = ("route", "speakers", "hours", "statistics", "update", "both", "by the clock")
    print("".join(f"{head:>13}" for head in heads), " seconds")
    for name, route in routes(feats, generator).items():
        estimate(route, 2)  # fills caches
        for number, length in zip(arguments.speakers, hours, strict=True):
            sums, update, clock = measure(route, number, arguments.repeats)
            total.setdefault(name, []).append(sums + update)
            numbers = (length, sums, update, sums + update, clock)
            print(f"{name:>13}{number:>13}", *(f"{x:12.2f}" for x in numbers), flush=True)
        if len(hours) > 1:
            exponent = np.polyfit(np.log(hours), np.log(total[name]), 1)[0]
            print(f"{name}: time grows with hours to the power of {exponent:.2f}")
    if arguments.figure:
        plot(arguments.figure, hours, total)


if __name__ == "__main__":
    main()
