"""Train for many steps with every augmentation on, and see that memory stays flat and no process is left behind.

``python tools/soak.py OUT --steps 2000 --noise FOLDER -- recipe=an4_ctc train.num_workers=2`` takes any recipe. OUT
gets ``memory.jsonl``, a line each five seconds with the memory of the run and its workers (Linux' Pss without files:
pages that they share are counted once, libraries not at all), ``memory.png`` (extra ``viz``) and the run. Memory is
flat when the median of the last quarter of the run is at most 5 % above that of the second one; the first holds the
start. The exit code is 1 when it grew, or a process was left.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

EVERY_S = 5.0
ORPHANS_S = 10.0
MOST_GROWTH = 1.05
AUGMENT = (
    "speed=[0.9,1.0,1.1]", "tempo=[0.9,1.0,1.1]", "volume_db=[-12,6]", "noise_prob=0.5", "room_prob=0.5",
    "codec_prob=0.3", "telephone_prob=0.2", "time_masks=2", "freq_masks=2",
)  # fmt: skip


def session_of(leader: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text(encoding="utf-8").rpartition(")")[2].split()[:4]
        except OSError:  # it ended meanwhile
            continue
        if int(session) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def pss_mb(pid: int) -> float:
    """Return a process' share of the memory that no file stands behind, 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return sum(int(kb) for kb in re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB", text, re.MULTILINE)) / 1024


def updates(run_dir: Path) -> int:
    """Return the updates of the epochs that are done."""
    path = run_dir / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def watch(process: subprocess.Popen[bytes], out: Path) -> list[dict[str, float]]:
    """Record the memory of a run until it ends."""
    began, samples = time.monotonic(), []
    with (out / "memory.jsonl").open("w", encoding="utf-8") as log:
        while process.poll() is None:
            running = session_of(process.pid)
            sample = {
                "s": round(time.monotonic() - began, 1),
                "mb": round(sum(map(pss_mb, running)), 1),
                "main_mb": round(pss_mb(process.pid), 1),
                "processes": len(running),
                "step": updates(out / "run"),
            }
            samples.append(sample)
            log.write(json.dumps(sample) + "\n")
            log.flush()
            time.sleep(EVERY_S)
    return samples


def left_over(leader: int) -> list[int]:
    """Return the processes that are still there some time after the run has ended."""
    until = time.monotonic() + ORPHANS_S
    while (found := session_of(leader)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def steady(samples: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return the samples from the end of the first epoch to that of the last; all where that is next to nothing."""
    done = samples[-1]["step"]
    found = [s for s in samples if 0 < s["step"] < done]
    return found if len(found) >= 8 else [s for s in samples if s["processes"]]


def plot(samples: list[dict[str, float]], path: Path) -> None:
    """Draw memory over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    for key, label in (("mb", "with workers"), ("main_mb", "main process")):
        axes.plot([s["s"] / 60 for s in samples], [s[key] for s in samples], linewidth=1, label=label)
    axes.legend()
    steps = [next(s for s in samples if s["step"] == step) for step in sorted({s["step"] for s in samples})]
    for sample in steps[:: max(1, len(steps) // 10)]:
        axes.annotate(f"{sample['step']:.0f}", (sample["s"] / 60, sample["mb"]), fontsize=7, ha="center")
    axes.set(xlabel="minutes (numbers: updates done)", ylabel="MB", ylim=(0, None))
    figure.savefig(path, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    run_dir = options.out / "run"
    command = [
        sys.executable, "-m", "asr_ligru", "train", *options.overrides, *(f"train.augment.{a}" for a in AUGMENT),
        f"train.augment.noise_dir={options.noise}", f"train.max_steps={options.steps}", "train.epochs=100000",
        "train.schedule=constant", f"exp_dir={run_dir}", "train.progress=false", "decode.split=none",
    ]  # fmt: skip
    with subprocess.Popen(command, start_new_session=True) as process:
        samples = watch(process, options.out)
    orphans = left_over(process.pid)
    plot(samples, options.out / "memory.png")
    found = [sample["mb"] for sample in steady(samples)]
    quarter = max(1, len(found) // 4)
    early, late = statistics.median(found[quarter : 2 * quarter]), statistics.median(found[-quarter:])
    print(f"exit {process.returncode}; {updates(run_dir)} updates in {samples[-1]['s'] / 60:.1f} min")
    print(f"memory {early:.0f} MB in the second quarter, {late:.0f} MB in the last ({late / early - 1:+.1%})")
    print(f"at most {max(s['mb'] for s in samples):.0f} MB; processes left: {len(orphans)}")
    return int(process.returncode != 0 or late > MOST_GROWTH * early or bool(orphans))


if __name__ == "__main__":
    raise SystemExit(main())
