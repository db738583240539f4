"""Measure LiGRU encoders on a GPU against torch.nn.GRU of the same size and against a loop of single steps.

    python tools/bench_recurrence_gpu.py                      # the two rows of the table in docs/performance.md
    python tools/bench_recurrence_gpu.py --case 4x1024 --batch 16 --model ligru libru_arith

A training step is forward, a sum of squares and backward, in bfloat16, through all layers with their projections and
batch norm; 1000 frames, bidirectional. The models of a case run in turn, --repeats times in one process after rounds
that are not counted; a ratio is the median over the rounds of a model's time by that of the baseline in the same round.
The loop is LiGRU as SpeechBrain writes it: eager steps that index the projection inside the loop. It is slow, its cost
grows with the square of the length, so it runs for one batch size only (--loop-batch). Last come microseconds of one
layer's recurrence alone, a frame, with both directions in it.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from asr_ligru.config import CellConfig
from asr_ligru.nn.encoder import build_encoder
from asr_ligru.ops import dispatch, fused_triton
from asr_ligru.ops.packing import Packing

FEATURES = 80
FRAMES = 1000
MIN_REPEATS = 7
CASES = {"5x550": (5, 550), "4x1024": (4, 1024)}
OURS = ("ligru", "sligru", "libru_arith", "libru_harm", "libru_geo")


class _Ours(nn.Module):
    def __init__(self, cell: str, layers: int, hidden: int) -> None:
        super().__init__()
        config = CellConfig(name=cell, hidden_size=hidden, num_layers=layers, dropout=0.0, backend="triton")
        self.encoder = build_encoder(FEATURES, config)

    def forward(self, x: Tensor) -> Tensor:
        lens = torch.full((x.shape[0],), x.shape[1], device=x.device)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            out: Tensor = self.encoder(x, lens)[0]
        return out


class _GRU(nn.Module):
    def __init__(self, layers: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(FEATURES, hidden, layers, bidirectional=True, batch_first=True).bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.gru(x.bfloat16())[0]
        return out


class _LoopLayer(nn.Module):
    """One bidirectional layer, step by step: the directions are two halves of a batch and share their weights."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.w = nn.Linear(features, 2 * hidden, bias=False)
        self.norm = nn.BatchNorm1d(2 * hidden, momentum=0.05)
        self.u = nn.Linear(hidden, 2 * hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat((x, x.flip(1)))
        w = self.w(both)
        w = self.norm(w.flatten(0, 1)).view_as(w)
        h, states = w.new_zeros(len(w), self.u.in_features), []
        for t in range(w.shape[1]):
            a, g = (w[:, t] + self.u(h)).chunk(2, dim=1)
            z = torch.sigmoid(g)
            h = z * h + (1 - z) * torch.relu(a)
            states.append(h)
        forward, reverse = torch.stack(states, dim=1).chunk(2)
        return torch.cat((forward, reverse.flip(1)), dim=2)


class _Loop(nn.Module):
    def __init__(self, layers: int, hidden: int) -> None:
        super().__init__()
        sizes = [FEATURES] + [2 * hidden] * (layers - 1)
        self.layers = nn.Sequential(*(_LoopLayer(size, hidden) for size in sizes))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            out: Tensor = self.layers(x)
        return out


def build(name: str, layers: int, hidden: int) -> nn.Module:
    if name in OURS:
        return _Ours(name, layers, hidden).cuda()
    return {"gru": _GRU, "loop": _Loop}[name](layers, hidden).cuda()


def train_step(model: nn.Module, x: Tensor) -> None:
    model.zero_grad(set_to_none=True)
    model(x).float().square().sum().backward()


def milliseconds(run: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def alternate(runs: dict[str, Callable[[], object]], repeats: int, warm_up: int = 3) -> dict[str, list[float]]:
    """Time the runs in turn, ``repeats`` rounds after ``warm_up`` that compile and fill caches; milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(warm_up + repeats):
        for name, run in runs.items():
            elapsed = milliseconds(run)
            if round_ >= warm_up:
                times[name].append(elapsed)
    return times


def ratio(ours: list[float], baseline: list[float]) -> str:
    rounds = sorted(x / y for x, y in zip(ours, baseline, strict=True))
    return f"**{statistics.median(rounds):.3f}** ({rounds[0]:.3f} to {rounds[-1]:.3f})"


def compare(case: str, batch: int, models: list[str], baseline: str, repeats: int) -> None:
    """Print one row of the table."""
    x = torch.randn(batch, FRAMES, FEATURES, device="cuda")
    built = {name: build(name, *CASES[case]) for name in [baseline, *models]}
    warm_up = 1 if baseline == "loop" else 3
    runs = {name: functools.partial(train_step, model, x) for name, model in built.items()}
    times = alternate(runs, repeats, warm_up)
    cells = [f"{statistics.median(times[baseline]):.1f} ms"]
    cells += [f"{statistics.median(times[name]):.1f} ms, {ratio(times[name], times[baseline])}" for name in models]
    print(f"| {case} B={batch} T={FRAMES} | {' | '.join(cells)} |", flush=True)


def recurrence_alone(case: str, batch: int, cell: str, repeats: int) -> None:
    """Print microseconds a frame of one layer's recurrence, forward and backward."""
    hidden = CASES[case][1]
    packing = Packing(torch.full((batch,), FRAMES, device="cuda"), FRAMES, 2)
    wx = torch.randn(batch * FRAMES, 2 * hidden, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    u = (0.5 / hidden**0.5 * torch.randn(1, 2 * hidden, hidden, device="cuda")).bfloat16().requires_grad_()
    h0, padding = torch.zeros(2, batch, hidden, device="cuda"), torch.zeros(2 * hidden, device="cuda")

    def forward() -> Tensor:
        return dispatch.packed(cell, wx, packing, u, h0, padding=padding, backend="triton")

    h = forward()
    weights = torch.randn_like(h)
    backward = functools.partial(h.backward, weights, retain_graph=True)
    times = alternate({"forward": forward, "backward": backward}, repeats)
    found = ", ".join(f"{name} {statistics.median(ms) * 1e3 / FRAMES:.2f} us" for name, ms in times.items())
    print(f"{cell} {case} B={batch}, one layer, a frame: {found}", flush=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--batch", nargs="+", type=int, default=[16, 32, 64])
    parser.add_argument("--model", nargs="+", choices=OURS, default=["ligru"])
    parser.add_argument("--loop-batch", type=int, default=16, help="batch size beside the loop; 0: none")
    parser.add_argument("--repeats", type=int, default=MIN_REPEATS)
    options = parser.parse_args(arguments)
    if options.repeats < MIN_REPEATS:
        parser.error(f"--repeats must be at least {MIN_REPEATS}")
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    why_not = fused_triton.refusal("sligru", torch.float32, max(hidden for _, hidden in CASES.values()))
    if why_not:
        sys.exit(f"nothing was measured: {why_not}")
    torch.manual_seed(0)
    import triton

    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}, bfloat16")
    print(f"{options.repeats} rounds; a training step in milliseconds, and its ratio to the first column's")
    for baseline, title in (("gru", "torch.nn.GRU"), ("loop", "a loop of steps")):
        print(f"\n| training step | {title} | {' | '.join(options.model)} |\n{'|---' * (2 + len(options.model))}|")
        for case in options.case:
            batches = options.batch if baseline == "gru" else [options.loop_batch] * (options.loop_batch > 0)
            for batch in batches:
                compare(case, batch, options.model, baseline, options.repeats)
    print()
    for case in options.case:
        for batch in options.batch:
            for cell in options.model:
                recurrence_alone(case, batch, cell, options.repeats)


if __name__ == "__main__":
    main()
