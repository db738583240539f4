"""Measure `asr-ligru decode`: start-up, the first text, a folder of files, and whether it says what the run said.

    python -m tools.bench_decode MODEL FOLDER [--manifest data/an4/test.jsonl] [--repeats 5]

MODEL is a finished run, FOLDER holds recordings. Times are those that pass and, in brackets, those of all processors
together: only an idle machine shows the first. The best of the repeats counts, as other programs slow the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import soundfile

from asr_ligru.decode.inputs import find_inputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, help="of the set that the run scored")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    files = [one.path for one in find_inputs([str(options.folder)]) if one.path and not one.problem]
    audio_s = sum(soundfile.info(str(path)).duration for path in files)
    model = str(options.model)
    cases = {
        "--help": ["--help"],
        "one short file": [model, str(files[0]), "-q"],
        f"{len(files)} files": [model, str(options.folder), "-q"],
    }
    times = {name: best(arguments, options.repeats) for name, arguments in cases.items()}
    for name, (wall_s, cpu_s) in times.items():
        print(f"{name}: {wall_s:.2f} s ({cpu_s:.2f})")
    wall_s, cpu_s = (times[f"{len(files)} files"][i] for i in (0, 1))
    start_s, start_cpu_s = (times["one short file"][i] for i in (0, 1))
    print(f"{audio_s:.0f} s of audio: {audio_s / wall_s:.0f} x real time ({audio_s / cpu_s:.0f})")
    print(f"without start-up: {audio_s / (wall_s - start_s):.0f} x real time ({audio_s / (cpu_s - start_cpu_s):.0f})")
    if options.manifest:
        compare(options.model, options.manifest)


def best(arguments: Sequence[str], repeats: int) -> tuple[float, float]:
    """Return the least time that passed, and the least of processors, in seconds."""
    walls, cpus = [], []
    for _ in range(repeats):
        before, started = os.times(), time.monotonic()
        decode(arguments)
        walls.append(time.monotonic() - started)
        after = os.times()
        cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(walls), min(cpus)


def decode(arguments: Sequence[str]) -> str:
    command = [sys.executable, "-m", "asr_ligru", "decode", *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


def compare(model: Path, manifest: Path) -> None:
    """Print how many texts of a manifest equal those of the run's own scoring."""
    lines = (model / "hyp.jsonl").read_text(encoding="utf-8").splitlines()
    own = {record["id"]: record["hyp"] for record in map(json.loads, lines)}
    decoded = decode([str(model), str(manifest), "--format", "json", "-q"]).splitlines()
    texts = {record["id"]: record["text"] for record in map(json.loads, decoded)}
    equal = sum(texts.get(utt_id) == text for utt_id, text in own.items())
    print(f"{equal} of {len(own)} texts equal those of the run")


if __name__ == "__main__":
    main()
