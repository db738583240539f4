"""Kill a process that writes checkpoints, again and again, and look at what is left.

``python tools/kill_loop.py --n 200`` kills at random moments; ``--every-call`` kills once before each call that
changes the disk (fsync, rename, unlink, ...) during a save that replaces a checkpoint, the deletion of old ones and the
sweep at the next start. After each kill the next start must resume from a whole checkpoint that is not older than the
last save the writer had acknowledged. The exit code is the number of violations, at most 100.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from asr_ligru.errors import DataError
from asr_ligru.train import checkpoint

CALLS = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir", "chmod")
_FORK = multiprocessing.get_context("fork")  # the children need not import torch again


def tensors_of(step: int, size: int) -> dict[str, dict[str, torch.Tensor]]:
    """Return tensors whose values all say which step they belong to."""
    return {
        "model": {"w": torch.full((size,), float(step)), "b": torch.full((7,), float(step))},
        "optimizer": {"w/exp_avg": torch.full((size,), float(step))},
    }


def write_forever(folder: Path, size: int, acks: int) -> None:
    """Resume, then commit step after step; each acknowledged step is written to the pipe ``acks``."""
    checkpoint.sweep(folder)
    found = checkpoint.latest(folder)
    step = found.step if found else 0
    while True:
        step += 1
        checkpoint.commit(folder, step, tensors_of(step, size), {"step": step})
        os.write(acks, struct.pack("<q", step))
        checkpoint.retain(folder, {step, step - 1})


def write_once(folder: Path, size: int, acks: int, die_at: int) -> None:
    """Sweep, replace the newest step, commit one more, delete the rest; die before call number ``die_at``."""
    calls = 0

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))
    checkpoint.sweep(folder)
    found = checkpoint.latest(folder)
    step = found.step if found else 0
    for done in (step, step + 1):
        checkpoint.commit(folder, done, tensors_of(done, size), {"step": done})
        os.write(acks, struct.pack("<q", done))
    checkpoint.retain(folder, {step + 1})


def run_and_kill(target: Callable[..., None], args: tuple[Any, ...], wait_s: float | None) -> tuple[int, int]:
    """Fork ``target``, kill it ``wait_s`` after its first save; return (last acknowledged step or 0, exit code)."""
    reader, writer = os.pipe()
    process = _FORK.Process(target=target, args=(*args[:2], writer, *args[2:]))
    process.start()
    os.close(writer)
    received = b""
    if wait_s is not None:
        received = os.read(reader, 8)
        time.sleep(wait_s)
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    while block := os.read(reader, 1 << 16):
        received += block
    os.close(reader)
    whole = received[: len(received) // 8 * 8]
    return max((step for (step,) in struct.iter_unpack("<q", whole)), default=0), process.exitcode or 0


def next_start(folder: Path, acknowledged: int, size: int) -> str:
    """Start as a trainer would; return "ok" or what is wrong."""
    skipped: list[DataError] = []
    checkpoint.sweep(folder)
    if any(not path.name.startswith("step-") for path in folder.iterdir()):
        return "left over"
    try:
        found = checkpoint.latest(folder, skipped.append)
    except DataError:
        return "none usable"
    if skipped:
        return "torn"
    if (found.step if found else 0) < acknowledged:
        return "older than acknowledged"
    if found:
        for name, named in tensors_of(found.step, size).items():
            if any(not torch.equal(found.tensors[name][key], value) for key, value in named.items()):
                return "wrong content"
    return "ok"


def kill_at_random(folder: Path, n: int, size: int, max_wait_s: float, seed: int) -> Counter[str]:
    """Kill ``n`` writers, one after the other in the same folder, each 0 to ``max_wait_s`` after its first save."""
    draw = random.Random(seed)
    outcomes: Counter[str] = Counter()
    acknowledged = 0
    for _ in range(n):
        last, _ = run_and_kill(write_forever, (folder, size), draw.uniform(0.0, max_wait_s))
        acknowledged = max(acknowledged, last)
        outcomes["temporary left by the kill"] += any(path.name.startswith(".") for path in folder.iterdir())
        outcomes[next_start(folder, acknowledged, size)] += 1
    outcomes["saves"] = acknowledged
    return outcomes


def kill_at_every_call(folder: Path, size: int) -> Counter[str]:
    """Kill once before each disk call, in a folder with old checkpoints and left-overs, until one run survives."""
    outcomes: Counter[str] = Counter()
    for die_at in range(1, 1000):
        place = folder / f"{die_at}"
        for step in (1, 2, 3):
            checkpoint.commit(place, step, tensors_of(step, size), {"step": step})
        (place / ".tmp-stale").mkdir()
        (place / ".tmp-stale" / "model.safetensors").write_bytes(b"half")
        (place / "step-000003").rename(place / ".old-step-000003")  # killed while it was replaced
        last, code = run_and_kill(write_once, (place, size, die_at), None)
        outcomes[next_start(place, max(3, last), size)] += 1
        if code != -signal.SIGKILL:
            outcomes["survivor failed"] += code != 0
            return outcomes
    raise AssertionError("a save needs more than 1000 calls")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="random kills")
    parser.add_argument("--every-call", action="store_true", help="kill before each disk call instead")
    parser.add_argument("--max-wait-s", type=float, default=0.3)
    parser.add_argument("--size", type=int, default=300_000, help="floats in each of two big tensors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, help="where to write; the system's folder for temporary files if not given")
    args = parser.parse_args()
    logging.disable()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="kill-loop-", dir=args.dir) as name:
        folder = Path(name) / "checkpoints"
        folder.mkdir()
        if args.every_call:
            outcomes = kill_at_every_call(folder, 1000)
        else:
            outcomes = kill_at_random(folder, args.n, args.size, args.max_wait_s, args.seed)
    print(", ".join(f"{outcome}: {count}" for outcome, count in sorted(outcomes.items())))
    good = {"ok", "saves", "temporary left by the kill"}
    return min(100, sum(count for outcome, count in outcomes.items() if outcome not in good))


if __name__ == "__main__":
    sys.exit(main())
