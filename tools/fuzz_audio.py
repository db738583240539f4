"""Damage audio files of many codecs, thousands of times, and read each in a process that may die.

``python tools/fuzz_audio.py --n 20000 --state audio.json`` goes on where the state file says it stopped. Each case is
announced before its file is opened, so that a native crash costs one case and is counted. A case is lost when the
process dies or hangs, when something other than the toolkit's own errors comes out, when what is accepted is not
finite, not within [-1, 1], empty or longer than allowed, when it takes more than a second of processor time, or more
than 1 GB. The exit code is the number of lost cases, at most 100; ``--only N`` repeats one.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from damage import mutate

from asr_ligru.data import audio
from asr_ligru.errors import DataError, EnvironmentError_

CODECS = {
    "WAV": ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"),
    "WAVEX": ("PCM_16",),
    "RF64": ("PCM_16",),
    "W64": ("PCM_16",),
    "AIFF": ("PCM_16",),
    "AU": ("PCM_16", "FLOAT"),
    "CAF": ("PCM_16", "ALAC_16"),
    "NIST": ("PCM_16", "ULAW"),
    "FLAC": ("PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
}
TOKENS = (
    b"fmt ",
    b"data",
    b"LIST",
    b"fact",
    b"SSND",
    b"COMM",
    b"OggS",
    b"fLaC",
    b"\xff\xfb\x90",
    b"NIST_1A",
    b"ID3",
    b"RIFF",
)
MAX_AUDIO_SECONDS = 60.0
MAX_SECONDS = 1.0
MAX_KIB = 1 << 20
HANG_SECONDS = 30.0
BATCH = 500
_FORK = multiprocessing.get_context("fork")  # the children need not import torch again


def seeds() -> list[bytes]:
    """Return a quarter of a second in each codec, 16 kHz, mono, and some in stereo."""
    time_s = np.arange(4000) / 16000
    draw = np.random.default_rng(0)
    tone = 0.4 * np.sin(2 * np.pi * 300 * time_s) + 0.02 * draw.standard_normal(4000)
    made = []
    for kind, codecs in CODECS.items():
        for codec in codecs:
            for channels in (1, 2) if codec in ("PCM_16", "FLOAT", "VORBIS") else (1,):
                buffer = io.BytesIO()
                samples = np.stack([tone] * channels, axis=1)
                soundfile.write(buffer, samples, 16000, format=kind, subtype=codec)
                made.append(buffer.getvalue())
    return made


def outcome(path: Path) -> str:
    """Read a file; return "accepted", "refused" or, when the case is lost, why."""
    started = time.process_time()
    try:
        wav = audio.read(path, channel="mix", max_seconds=MAX_AUDIO_SECONDS)
        limit = MAX_AUDIO_SECONDS * 768_000
        sound = wav.dtype == torch.float32 and wav.dim() == 1 and 0 < len(wav) <= limit
        result = "accepted" if sound and bool((wav.abs() <= 1).all()) else "accepted what is not sound"
    except (DataError, EnvironmentError_) as error:
        result = "refused" if str(path) in str(error) else f"does not name the file: {error}"
    except Exception as error:  # what this program looks for
        result = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - started
    if seconds > MAX_SECONDS:
        result = f"{seconds:.1f} s, {result}"
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MAX_KIB:
        result = f"more than {MAX_KIB >> 10} MiB, {result}"
    return result.replace("\n", " ")


def read_cases(cases: range, seed: int, folder: Path, report: int) -> None:
    """Say each case's number, read it, say how it ended; ends the process."""
    made, path = seeds(), folder / "x.audio"
    warnings.simplefilter("error")  # a user would see it
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # mpg123 comments on each file
    for case in cases:
        path.write_bytes(mutate(made, TOKENS, random.Random(f"audio-{seed}-{case}"), head_bytes=100))
        os.write(report, f"{case}\n".encode())
        os.write(report, f"{outcome(path)}\n".encode())
    os._exit(0)


def run_cases(cases: range, seed: int, folder: Path) -> Iterator[tuple[int, str]]:
    """Yield (case, outcome) of each, in as many processes as it takes."""
    while cases:
        reader, writer = os.pipe()
        process = _FORK.Process(target=read_cases, args=(cases, seed, folder, writer))
        process.start()
        os.close(writer)
        lines: list[str] = []
        rest = b""
        while select.select([reader], [], [], HANG_SECONDS)[0] and (block := os.read(reader, 1 << 16)):
            *whole, rest = (rest + block).split(b"\n")
            lines += [line.decode() for line in whole]
        hangs = process.is_alive() and not select.select([reader], [], [], 1.0)[0]
        if hangs:
            os.kill(process.pid or 0, signal.SIGKILL)
        os.close(reader)
        process.join()
        yield from ((int(case), result) for case, result in zip(lines[::2], lines[1::2], strict=False))
        done = len(lines) // 2
        if done < len(cases):
            yield cases[done], "hangs" if hangs else f"died with {process.exitcode}"
            done += 1
        cases = cases[done:]


def fuzz(n: int, seed: int, state: Path | None = None) -> dict[str, object]:
    """Run the cases that the state file does not have yet; return counts and what was lost."""
    counts, lost, first = Counter[str](), [], 0
    if state and state.exists():
        record = json.loads(state.read_text(encoding="utf-8"))
        assert record["seed"] == seed, f"{state} has seed {record['seed']}"
        counts, lost, first = Counter(record["counts"]), record["lost"], record["next"]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for start in range(first, n, BATCH):
            for case, result in run_cases(range(start, min(n, start + BATCH)), seed, Path(folder)):
                counts[result if result in ("accepted", "refused") else "lost"] += 1
                if result not in ("accepted", "refused"):
                    lost.append(f"case {case}: {result}")
            if state:
                record = {"seed": seed, "next": min(n, start + BATCH), "counts": counts, "lost": lost}
                state.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return {"counts": counts, "lost": lost}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20000, help="cases in all, those of the state file included")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, metavar="FILE", help="where to go on and to note progress")
    parser.add_argument("--only", type=int, metavar="N", help="repeat one case and say how it ended")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only is not None:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            print(*run_cases(range(args.only, args.only + 1), args.seed, Path(folder)))
        return 0
    found = fuzz(args.n, args.seed, args.state)
    counts, lost = found["counts"], found["lost"]
    print(*lost, sep="\n", end="\n" if lost else "")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    tally = ", ".join(f"{kind}: {counts[kind]}" for kind in ("accepted", "refused", "lost"))
    print(f"{sum(counts.values())} damaged files in {len(seeds())} codecs and layouts, {tally}; at most {children} MiB")
    return min(100, counts["lost"])


if __name__ == "__main__":
    sys.exit(main())
