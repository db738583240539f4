"""Measure what an hour of speech costs in each stage, on one core, and draw it over the hours.

    python tools/measure_scale.py make data/an4 data/demo WORK --hours 1 2 4 8 16
    python tools/measure_scale.py run WORK validate features ligru --hours 1 2 4 8 16
    python tools/measure_scale.py run WORK greedy --hours 1 2 --model RUN
    python tools/measure_scale.py run WORK --utterances 100000 1000000
    python tools/measure_scale.py report WORK --figure docs/figures/scaling.png

``make`` enlarges prepared corpora: it plays all their utterances again and again, each time at another speed (1, 0.9,
1.1, 0.95, ...), so that no recording and no speaker is there twice. The corpora take turns, utterance by utterance; a
folder of so many hours holds the first of them. ``run`` measures stages, each in a process of its own: seconds of the
processor once everything is imported, the most memory beyond what there was then, and what it leaves on the disk.
``--utterances`` measures the lists of training sets whose audio is not here. Figures go to ``WORK/figures.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_ligru.compose import compose
from asr_ligru.config import Config
from asr_ligru.data import audio
from asr_ligru.data.batching import BatchPlan
from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.data.shards import write_shards
from asr_ligru.data.source import FeatureSource
from asr_ligru.data.validate import validate_corpus
from asr_ligru.decode.choose import make_decoder
from asr_ligru.decode.run import decode_utterances
from asr_ligru.features.augment import change_speed
from asr_ligru.hmm.manifests import apply_manifest
from asr_ligru.hmm.run import train_system
from asr_ligru.models.load import load_model
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.train.corpus import Corpus
from asr_ligru.train.run import train
from asr_ligru.train.split import Split
from asr_ligru.typing import Utterance

SPEEDS = (1.0, 0.9, 1.1, 0.95, 1.05, 0.85, 1.15, 0.92, 1.08, 0.98, 1.02, 0.88, 1.12)
RATE_HZ = 16000
DEV = 30  # utterances, which training wants
CELLS = ("ligru", "gru", "lstm")
DECODERS = ("greedy", "beam")
Measured = dict[str, Any]


def enlarged(folder: Path, wavs: Path) -> Iterator[Utterance]:
    """Yield the utterances of a prepared corpus, once for each speed, and write their audio unless it is there."""
    found = [u for split in ("train", "dev", "test") for u in read_manifest(folder / f"{split}.jsonl")]
    names = sorted({u.speaker for u in found})
    place = dict(zip(names, np.random.default_rng(1).permutation(len(names)).tolist(), strict=True))
    for speed in SPEEDS:
        for utterance in sorted(found, key=lambda u: place[u.speaker]):
            prefix = f"{folder.name}-{speed:.2f}"
            path = wavs / f"{prefix}-{utterance.utt_id}.wav"
            if not path.is_file():
                audio.write(path, change_speed(audio.read(utterance.audio_path), speed), RATE_HZ)
            duration_s = audio.probe(path).duration_s
            yield Utterance(path.stem, path, duration_s, utterance.text, f"{prefix}-{utterance.speaker}")


def make(folders: Sequence[Path], work: Path, hours: Sequence[float]) -> None:
    """Write a corpus folder for each number of hours."""
    (work / "wav").mkdir(parents=True, exist_ok=True)
    lexicon = {line for f in folders for line in (f / "lexicon.txt").read_text(encoding="utf-8").splitlines()}
    turns = zip(*(enlarged(folder, work / "wav") for folder in folders), strict=False)
    held: list[Utterance] = []
    seconds = 0.0
    for length in sorted(hours):
        while seconds < 3600 * length:
            held += next(turns)
            seconds += sum(u.duration_s for u in held[-len(folders) :])
        folder = work / f"{length:g}h"
        folder.mkdir(exist_ok=True)
        (folder / "lexicon.txt").write_text("\n".join(sorted(lexicon)) + "\n", encoding="utf-8")
        write_manifest(folder / "train.jsonl", held)
        write_manifest(folder / "dev.jsonl", held[:DEV])
        speakers = len({u.speaker for u in held})
        print(f"{folder}: {seconds / 3600:.2f} h, {len(held)} utterances, {speakers} speakers", flush=True)


def configured(folder: Path, out: Path, cell: str = "ligru") -> Config:
    """Return what trains an epoch on the features that stage ``features`` keeps, at normal speed."""
    return compose([
        "recipe=an4_ctc", f"cell={cell}", f"corpus.dir={folder}", f"exp_dir={out}", "train.epochs=1",
        "train.augment.speed=[]", "train.threads=1", "train.progress=false", "decode.split=none",
    ])  # fmt: skip


def scan(folder: Path, out: Path) -> None:
    config = configured(folder, out)
    FeatureSource(config.features, config.corpus, folder / "features").scan(
        read_manifest(folder / "train.jsonl"), False
    )


def features(folder: Path, out: Path) -> None:
    shutil.rmtree(folder / "features", ignore_errors=True)
    scan(folder, out)


def gmm(folder: Path, out: Path) -> None:
    lexicon, corpus = Lexicon.read(folder / "lexicon.txt"), configured(folder, out).corpus
    train_system(out, read_manifest(folder / "train.jsonl"), lexicon, corpus, watch=print)


def fmllr(folder: Path, out: Path, with_text: bool) -> None:
    model = out.parent / "gmm-1h" / "model"
    apply_manifest(model, folder / "train.jsonl", out, configured(folder, out).corpus, with_text=with_text)


def shards(folder: Path, out: Path) -> None:
    write_shards(read_manifest(folder / "train.jsonl"), out, configured(folder, out).corpus, RATE_HZ, 500_000_000)


def decode(folder: Path, name: str, run: Path) -> None:
    model = load_model(run)
    decode_utterances(model, read_manifest(folder / "train.jsonl"), decoder=make_decoder(model, name))


def stages(run: Path | None) -> dict[str, Callable[[Path, Path], object]]:
    """Return what there is to measure by its name; each takes the corpus' folder and one for what it makes."""
    trained = {cell: lambda folder, out, cell=cell: train(configured(folder, out, cell)) for cell in CELLS}
    decoded = {name: lambda folder, out, name=name: decode(folder, name, run) for name in DECODERS if run}
    return {
        "validate": lambda folder, out: validate_corpus(folder, ["train"]),
        "features": features,
        "scan": scan,
        "shards": shards,
        "gmm": gmm,
        "fmllr": lambda folder, out: fmllr(folder, out, False),
        "fmllr-text": lambda folder, out: fmllr(folder, out, True),
        **trained,
        **decoded,
    }


def memory_mb(key: str) -> float:
    """Return what Linux says of this process: "VmRSS" is held now, "VmHWM" is the most since it was reset."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1024


def measured(job: Callable[[], object]) -> Measured:
    """Run a job and return its cost."""
    torch.set_num_threads(1)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets VmHWM
    before_mb, began_s = memory_mb("VmRSS"), time.process_time()
    job()
    cpu_s = time.process_time() - began_s
    return {"cpu_s": round(cpu_s, 2), "peak_mb": round(memory_mb("VmHWM") - before_mb, 1)}


def disk_mb(folder: Path) -> float:
    return sum(path.stat().st_blocks for path in folder.rglob("*")) * 512 / 1e6 if folder.is_dir() else 0.0


def run_stage(work: Path, name: str, hours: float, run: Path | None) -> Measured:
    """Measure a stage in this process."""
    folder, out = work / f"{hours:g}h", work / "out" / f"{name}-{hours:g}h"
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(exist_ok=True)
    seconds = sum(u.duration_s for u in read_manifest(folder / "train.jsonl"))
    cost = measured(lambda: stages(run)[name](folder, out))
    left = disk_mb(folder / "features" if name == "features" else out)
    return {"stage": name, "hours": round(seconds / 3600, 3), **cost, "disk_mb": round(left, 1)}


class Named:
    """Stands for a tokenizer."""

    tokens = ("a", "b")


def books(work: Path, count: int) -> Iterator[Measured]:
    """Measure the lists of a training set of ``count`` utterances of some ten seconds and 200 characters."""
    path = work / f"{count}.jsonl"
    text = " ".join(["another"] * 25)
    write_manifest(
        path, (Utterance(f"{i:010}", path.with_name(f"{i}.flac"), 9.0, text, f"{i // 100}") for i in range(count))
    )
    held: list[Utterance] = []
    found: list[tuple[Utterance, int, list[int]]] = []
    lengths = np.random.default_rng(1).integers(200, 1600, count).tolist()
    plan = BatchPlan(20000, 64, 1)
    jobs: dict[str, Callable[[], object]] = {
        "manifest": lambda: held.extend(read_manifest(path)),
        "tokens": lambda: found.extend((u, n, [ord(c) for c in u.text]) for u, n in zip(held, lengths, strict=True)),
        "fingerprint": lambda: Corpus(Split.of(found), Split.of([]), None, Named(), None, []).fingerprint,
        "batches": lambda: plan.batches(lengths, 1),
    }
    for name, job in jobs.items():
        yield {"books": name, "utterances": count, **measured(job)}
    path.unlink()


def fit(hours: Sequence[float], costs: Sequence[float]) -> tuple[float, float, float]:
    """Return the costs of nothing and of an hour (a straight line, least relative errors), and the exponent."""
    (slope, fixed), x, y = np.polyfit(hours, costs, 1, w=1 / np.asarray(costs)), np.log(hours), np.log(costs)
    return fixed, slope, float(np.polyfit(x, y, 1)[0])


def table(figures: Sequence[Measured]) -> str:
    """Return what the stages cost as a Markdown table."""
    rows = [
        "| stage | hours | seconds an hour | once | exponent | MB of memory | MB of disk an hour |",
        "|---" * 7 + "|",
    ]
    for name, points in by_stage(figures).items():
        hours = [p["hours"] for p in points]
        fixed, slope, exponent = fit(hours, [p["cpu_s"] for p in points])
        length = f"{hours[0]:.2g} to {hours[-1]:.2g} ({len(hours)})"
        memory = f"{points[0]['peak_mb']:.0f} to {points[-1]['peak_mb']:.0f}"
        disk = points[-1]["disk_mb"] / hours[-1]
        rows.append(f"| {name} | {length} | {slope:.3g} | {fixed:.1f} | {exponent:.2f} | {memory} | {disk:.3g} |")
    return "\n".join(rows)


def by_stage(figures: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Return the last figures of each stage and number of hours, those of one number alone left out."""
    last = {(f["stage"], f["hours"]): f for f in figures if "stage" in f}
    found: dict[str, list[Measured]] = {}
    for name, hours in sorted(last):
        found.setdefault(name, []).append(last[name, hours])
    return {name: points for name, points in found.items() if len(points) > 1}


def plot(figures: Sequence[Measured], path: Path) -> None:
    """Draw seconds and memory over hours of speech, with the fitted lines."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(9, 4.2), dpi=80, layout="constrained")
    panels = figure.subplots(1, 2)
    palette = matplotlib.color_sequences["tab20"]
    for axes, key, label in zip(panels, ("cpu_s", "peak_mb"), ("processor seconds", "memory, MB"), strict=True):
        for number, (name, points) in enumerate(by_stage(figures).items()):
            hours, costs = [p["hours"] for p in points], [p[key] for p in points]
            fixed, slope, _ = fit(hours, costs)
            color = palette[number]
            axes.plot(hours, costs, "osv^D<>pX*hP"[number], color=color, label=name, markersize=4)
            axes.plot(hours, [fixed + slope * h for h in hours], color=color, linewidth=0.8)
        axes.set(xlabel="hours of speech", ylabel=label, xscale="log", yscale="log")
        axes.set_xticks([0.25, 0.5, 1, 2, 4, 8, 16], ["¼", "½", "1", "2", "4", "8", "16"])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(linewidth=0.3)
    panels[1].legend(fontsize=8, bbox_to_anchor=(1.02, 1), loc="upper left")
    figure.savefig(path)


def measure(options: argparse.Namespace) -> None:
    """Measure each case in a process of its own and keep the figures."""
    cases = [["stage", str(options.work), name, f"{hours:g}"] for name in options.stages for hours in options.hours]
    cases += [["books", str(options.work), str(count)] for count in options.utterances]
    for case in cases:
        command = [sys.executable, __file__, "one", *case, *(["--model", str(options.model)] if options.model else [])]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
        found = [line for line in output.splitlines() if line.startswith('{"')]
        with (options.work / "figures.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in found)
        print("\n".join(found), flush=True)


def one(options: argparse.Namespace) -> None:
    """Measure one case in this process."""
    kind, work, *what = options.case
    if kind == "stage":
        print(json.dumps(run_stage(Path(work), what[0], float(what[1]), options.model)))
    else:
        print("\n".join(json.dumps(cost) for cost in books(Path(work), int(what[0]))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("make")
    making.add_argument("corpora", type=Path, nargs="+")
    making.add_argument("work", type=Path)
    making.add_argument("--hours", type=float, nargs="+", default=[1, 2, 4, 8, 16])
    running = verbs.add_parser("run")
    running.add_argument("work", type=Path)
    running.add_argument("stages", nargs="*")
    running.add_argument("--hours", type=float, nargs="+", default=[1, 2, 4, 8, 16])
    running.add_argument("--utterances", type=int, nargs="*", default=[])
    running.add_argument("--model", type=Path)
    case = verbs.add_parser("one")
    case.add_argument("case", nargs="+")
    case.add_argument("--model", type=Path)
    reporting = verbs.add_parser("report")
    reporting.add_argument("work", type=Path)
    reporting.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if options.verb == "make":
        make(options.corpora, options.work, options.hours)
    elif options.verb == "run":
        measure(options)
    elif options.verb == "one":
        one(options)
    else:
        figures = [json.loads(line) for line in (options.work / "figures.jsonl").read_text("utf-8").splitlines()]
        print(table(figures))
        if options.figure:
            plot(figures, options.figure)


if __name__ == "__main__":
    main()
