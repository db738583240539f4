"""Measure recurrent encoders against torch.nn.GRU of the same size, on the CPU in float32.

    python tools/bench_recurrence.py train infer            # ratios, each case of the table in docs/performance.md
    python tools/bench_recurrence.py train --case 4x256 --threads 2
    python tools/bench_recurrence.py train --case 4x512 --model ligru --against speechbrain
    python tools/bench_recurrence.py scaling --model ligru  # cost over T and over B, with a straight line through each
    python tools/bench_recurrence.py memory                 # peak of a training step

The models of a case run in turn, --repeats times in one process after a round that is not counted; a ratio is the
median over the rounds of a model's time by that of torch.nn.GRU (or --against another) in the same round. A training
step is forward, a sum of squares and backward, through all layers with their projections and batch norm. With one
thread --clock cpu (processor time) says what one core can do on a machine that also does other things; the default is
the time that passed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from asr_ligru.config import CellConfig
from asr_ligru.nn.encoder import build_encoder
from asr_ligru.ops import fused_cpu
from asr_ligru.ops.fused_cpu.memory import keep_freed_memory

FEATURES = 80
MIN_REPEATS = 7
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Case:
    """A bidirectional stack and a batch of equally long utterances."""

    layers: int
    hidden: int
    batch: int
    frames: int

    def __str__(self) -> str:
        return f"{self.layers}x{self.hidden} B={self.batch} T={self.frames}"


CASES = {
    "4x256": Case(4, 256, 16, 400),
    "4x512": Case(4, 512, 8, 800),
    "5x550": Case(5, 550, 8, 600),
    "2x128": Case(2, 128, 32, 200),
    "one": Case(4, 256, 1, 400),
}
AXES = {
    "frames": [Case(2, 256, 8, frames) for frames in (200, 400, 800, 1600, 3200)],
    "batch": [Case(2, 256, batch, 200) for batch in (1, 2, 4, 8, 16, 32, 64)],
}


class _Ours(nn.Module):
    def __init__(self, cell: str, case: Case, backend: str = "auto") -> None:
        super().__init__()
        config = CellConfig(name=cell, hidden_size=case.hidden, num_layers=case.layers, dropout=0.0, backend=backend)
        self.encoder = build_encoder(FEATURES, config)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x, torch.full((x.shape[0],), x.shape[1]))[0]
        return out


class _First(nn.Module):
    """A module of which only the first result matters."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)[0]
        return out


def _torch_rnn(kind: type[nn.GRU] | type[nn.LSTM], case: Case) -> nn.Module:
    return _First(kind(FEATURES, case.hidden, case.layers, bidirectional=True, batch_first=True))


def _speechbrain(case: Case) -> nn.Module:
    from asr_ligru import torchaudio_import

    torchaudio_import.ensure()
    from speechbrain.nnet.RNN import LiGRU

    shape = (case.batch, case.frames, FEATURES)
    return _First(LiGRU(case.hidden, shape, num_layers=case.layers, bidirectional=True, normalization="batchnorm"))


BASELINE = "torch.nn.GRU"
MODELS: dict[str, tuple[str, Callable[[Case], nn.Module]]] = {
    "gru": (BASELINE, lambda case: _torch_rnn(nn.GRU, case)),
    "lstm": ("torch.nn.LSTM", lambda case: _torch_rnn(nn.LSTM, case)),
    "ligru": ("LiGRU", lambda case: _Ours("ligru", case)),
    "libru_arith": ("LiBRU arith", lambda case: _Ours("libru_arith", case)),
    "libru_harm": ("LiBRU harm", lambda case: _Ours("libru_harm", case)),
    "libru_geo": ("LiBRU geo", lambda case: _Ours("libru_geo", case)),
    "sligru": ("SLi-GRU", lambda case: _Ours("sligru", case)),
    "gru_bn": ("GRU, papers' form", lambda case: _Ours("gru_bn", case)),
    "lstm_bn": ("LSTM, papers' form", lambda case: _Ours("lstm_bn", case)),
    "stepped": ("LiGRU, not compiled", lambda case: _Ours("ligru", case, "stepped")),
    "speechbrain": ("SpeechBrain LiGRU", _speechbrain),
}


def train_step(model: nn.Module, x: Tensor) -> None:
    model.zero_grad(set_to_none=True)
    model(x).square().sum().backward()


def infer_step(model: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        model(x)


STEPS = {"train": train_step, "infer": infer_step}


def prepare(name: str, case: Case, step: str) -> Callable[[], None]:
    """Build a model and return its step; the first call trains batch norm's statistics."""
    model, x = MODELS[name][1](case), torch.randn(case.batch, case.frames, FEATURES)
    train_step(model, x[:, :8])
    model.train(step == "train")
    return lambda: STEPS[step](model, x)


def alternate(runs: dict[str, Callable[[], None]], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Time the runs in turn, ``repeats`` rounds after one that fills caches; returns seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(repeats + 1):
        for name, run in runs.items():
            start = clock()
            run()
            if round_ > 0:
                seconds[name].append(clock() - start)
    return seconds


def compare(step: str, cases: list[str], models: list[str], options: argparse.Namespace) -> None:
    """Print one table: a row for each model, a column for each case."""
    columns: dict[str, dict[str, str]] = {}
    base = options.against
    models = [name for name in models if name != base]
    for key in cases:
        runs = {name: prepare(name, CASES[key], step) for name in [base, *models]}
        seconds = alternate(runs, options.repeats, CLOCKS[options.clock])
        column = {base: f"{statistics.median(seconds[base]):.3f} s"}
        for name in models:
            rounds = sorted(ours / other for ours, other in zip(seconds[name], seconds[base], strict=True))
            column[name] = f"**{statistics.median(rounds):.3f}** ({rounds[0]:.3f} to {rounds[-1]:.3f})"
        columns[str(CASES[key])] = column
    print(f"\n| {step} step, against {MODELS[base][0]} | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in [base, *models]:
        print(f"| {MODELS[name][0]} | " + " | ".join(column[name] for column in columns.values()) + " |", flush=True)


def scaling(models: list[str], options: argparse.Namespace) -> None:
    """Print what a training step costs over T and over B, and how far that is from a straight line."""
    lines = []
    for model in models:
        for axis, cases in AXES.items():
            sizes = [getattr(case, axis) for case in cases]
            costs = [x * 1e3 for x in step_seconds(model, cases, options)]
            fixed, each = straight_line(sizes, costs)
            lines.append(Line(MODELS[model][0], axis, sizes, costs, fixed, each))
            print(f"\n{lines[-1]}\n{'case':<22}{'ms':>9}{'us a frame':>12}{'off the line':>14}")
            for case, cost in zip(cases, costs, strict=True):
                off = cost / (fixed + each * getattr(case, axis)) - 1
                frame = cost * 1e3 / (case.batch * case.frames)
                print(f"{case!s:<22}{cost:9.2f}{frame:12.2f}{off:14.1%}", flush=True)
    if options.plot:
        plot(lines, options.plot)


@dataclass(frozen=True)
class Line:
    """Milliseconds of a training step over one size, and a line through them."""

    model: str
    axis: str
    sizes: list[int]
    costs: list[float]
    fixed: float
    each: float

    def __str__(self) -> str:
        return f"{self.model}, 2x256, over {self.axis}: {self.fixed:.2f} ms + {self.each:.4f} ms each"


def step_seconds(model: str, cases: list[Case], options: argparse.Namespace) -> list[float]:
    """Return the median seconds of a training step of each case; the cases run in turn, small ones several times."""

    def repeated(case: Case) -> Callable[[], None]:
        step = prepare(model, case, "train")

        def run() -> None:
            for _ in range(_times(case)):
                step()

        return run

    runs = {str(case): repeated(case) for case in cases}
    seconds = alternate(runs, options.repeats, CLOCKS[options.clock])
    return [statistics.median(seconds[str(case)]) / _times(case) for case in cases]


def _times(case: Case) -> int:
    return max(1, 4000 // (case.batch * case.frames))


def straight_line(sizes: list[int], costs: list[float]) -> tuple[float, float]:
    """Return (a, b) of a + b * size, with the least squares of the relative distances."""
    weight = 1 / np.asarray(costs)
    columns = np.stack([weight, weight * np.asarray(sizes)], axis=1)
    fixed, each = np.linalg.lstsq(columns, np.ones(len(costs)), rcond=None)[0]
    return float(fixed), float(each)


def plot(lines: list[Line], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    names = {"frames": "frames of an utterance, T (B = 8)", "batch": "utterances in a batch, B (T = 200)"}
    for panel, (axis, label) in zip(panels, names.items(), strict=True):
        for line in (x for x in lines if x.axis == axis):
            (dots,) = panel.plot(line.sizes, line.costs, "o", label=line.model)
            ends = np.array([0, line.sizes[-1]])
            panel.plot(ends, line.fixed + line.each * ends, "-", color=dots.get_color(), linewidth=1)
        panel.set(xlabel=label, ylabel="training step, ms", xlim=(0, None), ylim=(0, None))
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=110)


def memory(models: list[str], cases: list[str]) -> None:
    """Print how much a training step adds to a fresh process, each model in its own."""
    for key in cases:
        for name in ["gru", *models]:
            command = [sys.executable, __file__, "memory-of", "--model", name, "--case", key]
            peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{CASES[key]!s:<24} {MODELS[name][0]:<22} {peak / 1024:8.0f} MiB", flush=True)


def memory_of(model: str, case: Case) -> None:
    """Print the kibibytes two training steps add to the peak of this process."""
    import resource

    run = prepare(model, case, "train")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def describe(options: argparse.Namespace) -> None:
    core = fused_cpu.refusal() or f"core {fused_cpu.library.core().name.decode()}"
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {core}, {options.threads} thread(s)")
    print(f"{options.repeats} rounds, {options.clock} clock, load average {load} of {os.cpu_count()} cores")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["train", "infer", "scaling", "memory", "memory-of"])
    parser.add_argument("--case", nargs="+", choices=CASES, default=["4x256"])
    parser.add_argument("--model", nargs="+", choices=MODELS, default=["ligru", "libru_arith"])
    parser.add_argument("--against", choices=MODELS, default="gru", help="what ratios are ratios to")
    parser.add_argument("--plot", metavar="FILE.png", help="where scaling draws its lines; needs matplotlib")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=MIN_REPEATS)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args(arguments)
    if options.repeats < MIN_REPEATS:
        parser.error(f"--repeats must be at least {MIN_REPEATS}: fewer say little on a machine that does other things")
    if options.clock == "cpu" and options.threads > 1:
        parser.error("--clock cpu adds up the time of all threads: use it with --threads 1")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as training does
    torch.manual_seed(0)
    if options.what == ["memory-of"]:
        memory_of(options.model[0], CASES[options.case[0]])
        return
    describe(options)
    for what in options.what:
        if what in STEPS:
            compare(what, options.case, options.model, options)
        elif what == "scaling":
            scaling(options.model, options)
        else:
            memory(options.model, options.case)


if __name__ == "__main__":
    main()
