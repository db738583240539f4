"""Kill training runs at random moments, let the same command finish them, and compare with a run nothing disturbed.

``python tools/kill_train.py --n 40 -- recipe=yesno_ctc debug=smoke train.epochs=3 train.num_workers=2`` takes any
recipe. A checkpoint is written after every update; a kill falls anywhere between the start of a run and its end, what
follows the training included. Then every tensor of every checkpoint and of the model, the metrics and the hypotheses
must have the bytes of the undisturbed run, and no process of a killed run may be there 30 s later. The exit code is the
number of kills and runs of which that is not true, at most 100.

``--corpus data/fsdd --every 60 -- corpus=fsdd model=hybrid`` gives each run a corpus of its own, of every sixtieth line
of a prepared one. So each builds its GMM-HMM and is killed while it does, and what is kept in the corpus is compared,
too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_ligru.data.manifest import read_manifest, write_manifest

# "files": lengths and sums of such files
OF_EACH_RUN = {"train_s", "epoch_s", "wait_s", "data_wait", "rtf", "exp_dir", "dir", "command", "files", "checksum"}
NOT_COMPARED = ".lock"
PHASES = {  # the newest of these shows how far a run was
    "finishing": "model",
    "training": "checkpoints",
    "reading": "corpus/fmllr/*/model",
    "fourth stage": "corpus/fmllr/*/lda_mllt",
    "third stage": "corpus/fmllr/*/tri",
    "second stage": "corpus/fmllr/*/mono",
}
ORPHANS_S = 30.0
TIMEOUT_S = 600.0


def start(overrides: Sequence[str], run_dir: Path) -> subprocess.Popen[bytes]:
    """Start a run, or go on with it, in a process group of its own."""
    command = [sys.executable, "-m", "asr_ligru", "train", *overrides, f"exp_dir={run_dir}", "train.progress=false",
               "train.save_every_s=1e-6"]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(overrides: Sequence[str], run_dir: Path) -> None:
    """Run to the end; any other end is an error."""
    with start(overrides, run_dir) as process:
        _, messages = process.communicate(timeout=TIMEOUT_S)
    if process.returncode:
        raise RuntimeError(f"{run_dir}: exit {process.returncode}: {messages.decode()}")


def wait_until_begun(process: subprocess.Popen[bytes], run_dir: Path, before_ns: int) -> bool:
    """Wait until the run has written its configuration; False when it ended instead."""
    while process.poll() is None:
        if changed_ns(run_dir) != before_ns:
            return True
        time.sleep(0.002)
    return False


def changed_ns(run_dir: Path) -> int:
    """Return when a run in this folder began last, 0 when none did."""
    path = run_dir / "config.json"
    return path.stat().st_mtime_ns if path.is_file() else 0


def kill_after(wait_s: float, overrides: Sequence[str], run_dir: Path) -> str:
    """Start or go on, kill the run so long after it began; return "killed", "ended" before that, or what went wrong."""
    before = changed_ns(run_dir)
    with start(overrides, run_dir) as process:
        if not wait_until_begun(process, run_dir, before):
            return "ended" if process.returncode == 0 else f"exit {process.returncode}"
        try:
            code = process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return "killed" if group_ends(process.pid, ORPHANS_S) else "orphans"
    return "ended" if code == 0 else f"exit {code}"


def group_ends(group: int, within_s: float) -> bool:
    """Wait until no process of a group is left; what is left after that time is killed, and the answer is False."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return False


def differences(run_dir: Path, unbroken: Path) -> list[str]:
    """Return the files that are not in both folders, or not the same; times and places are passed over in JSON."""
    ours, theirs = (
        {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        for folder in (run_dir, unbroken)
    )
    names = sorted(name for name in ours.keys() | theirs.keys() if Path(name).name != NOT_COMPARED)
    return [n for n in names if n not in ours or n not in theirs or content(ours[n]) != content(theirs[n])]


def content(path: Path) -> Any:
    """Return the bytes of a file; of JSON its values, line by line, without those that differ between any two runs."""
    if path.suffix not in (".json", ".jsonl"):
        return path.read_bytes()
    text = path.read_text(encoding="utf-8")
    return [_lasting(json.loads(part)) for part in (text.splitlines() if path.suffix == ".jsonl" else [text])]


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in OF_EACH_RUN}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def phase(run_dir: Path) -> str:
    """Return how far a run had come."""
    return next((name for name, pattern in PHASES.items() if any(run_dir.glob(pattern))), "beginning")


@dataclass(frozen=True)
class OwnCorpus:
    """A part of a prepared corpus, one for each run in its folder."""

    source: Path
    every: int

    def of(self, run_dir: Path) -> str:
        """Return the setting that names a run's corpus: every so many lines of each manifest, and the lexicon."""
        folder = run_dir / "corpus"
        if not folder.exists():
            folder.mkdir(parents=True)
            for split in ("train", "dev", "test"):
                write_manifest(folder / f"{split}.jsonl", read_manifest(self.source / f"{split}.jsonl")[:: self.every])
            if (self.source / "lexicon.txt").is_file():
                shutil.copy(self.source / "lexicon.txt", folder)
        return f"corpus.dir={folder}"


def kill_and_compare(
    overrides: Sequence[str], folder: Path, n: int, seed: int, corpus: OwnCorpus | None = None
) -> Counter[str]:
    """Kill ``n`` times, beginning anew whenever a run comes to its end; return what happened how often."""

    def settings(run_dir: Path) -> list[str]:
        return [*overrides, *([corpus.of(run_dir)] if corpus else [])]

    draw, outcomes = random.Random(seed), Counter[str]()
    unbroken = folder / "unbroken"
    finish(settings(unbroken), unbroken)
    length_s = (unbroken / "run.json").stat().st_mtime - (unbroken / "config.json").stat().st_mtime
    number = 0
    while outcomes["killed"] < n:
        run_dir = folder / f"run-{number}"
        outcome = kill_after(draw.uniform(0.0, length_s), settings(run_dir), run_dir)
        outcomes[outcome] += 1
        if outcome == "killed":
            outcomes[f"killed at {phase(run_dir)}"] += 1
        if outcome not in ("killed", "ended"):
            raise RuntimeError(f"{run_dir}: {outcome}")
        if outcome == "ended" or outcomes["killed"] == n:
            finish(settings(run_dir), run_dir)
            found = differences(run_dir, unbroken)
            outcomes["runs that differ" if found else "runs finished equal"] += 1
            print(f"{run_dir.name}: {', '.join(found) or 'equal'} ({outcomes['killed']} kills so far)", flush=True)
            number += 1
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=40, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="a prepared corpus; each run gets a part")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every so many lines of its manifests")
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="as for `asr-ligru train`")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-train-") as name:
        corpus = OwnCorpus(args.corpus, args.every) if args.corpus else None
        outcomes = kill_and_compare(args.overrides, Path(name), args.n, args.seed, corpus)
    print(", ".join(f"{outcome}: {count}" for outcome, count in sorted(outcomes.items())))
    return min(100, outcomes["runs that differ"])


if __name__ == "__main__":
    sys.exit(main())
