"""Measure how many times faster than real time features are computed, on one core.

    python tools/bench_features.py FOLDER [--files 200] [--repeats 9]

FOLDER is searched for .wav, .flac and .sph files of one sample rate. Each line has the median over the repeats of the
processor time, which says what one core can do, then of the time that passed, with its range: other programs slow it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from asr_ligru.config import AugmentConfig, FeaturesConfig, build
from asr_ligru.data import audio
from asr_ligru.features.augment import change_speed, generator, spec_augment
from asr_ligru.features.cache import FeatureCache, cache_key
from asr_ligru.features.frontend import Frontend
from asr_ligru.resources import folder

SUFFIXES = {".wav", ".flac", ".sph"}
MIN_REPEATS = 7


def configuration(name: str, sample_rate_hz: int) -> FeaturesConfig:
    tree: Any = OmegaConf.to_container(OmegaConf.load(folder("conf") / "features" / f"{name}.yaml"))
    return build(FeaturesConfig, tree | {"sample_rate_hz": sample_rate_hz})


class Bench:
    """Times jobs over the same recordings.

    Args:
        audio_s: how long the recordings are together, seconds.
        repeats: how often each job is timed.
    """

    def __init__(self, audio_s: float, repeats: int) -> None:
        self._audio_s = audio_s
        self._repeats = repeats

    def line(self, name: str, job: Callable[[int], object], count: int) -> None:
        """Print the line of ``job``, which takes the number of a recording."""
        core, clock = zip(*(self._time(job, count) for _ in range(self._repeats + 1)), strict=True)
        core, clock = core[1:], clock[1:]  # the first one fills caches
        passed = f"{statistics.median(clock):8.0f} x ({min(clock):.0f} to {max(clock):.0f})"
        print(f"{name:<30}{statistics.median(core):8.0f} x{passed}", flush=True)

    def _time(self, job: Callable[[int], object], count: int) -> tuple[float, float]:
        core, clock = time.process_time(), time.perf_counter()
        for index in range(count):
            job(index)
        return self._audio_s / (time.process_time() - core), self._audio_s / (time.perf_counter() - clock)


def bench_features(bench: Bench, name: str, rate: int, paths: Sequence[Path], wavs: Sequence[Tensor]) -> None:
    config = configuration(name, rate)
    frontend = Frontend(config)
    raws = [frontend.extract(wav) for wav in wavs]
    bench.line(f"{name}: extract", lambda i: frontend.extract(wavs[i]), len(wavs))
    bench.line(f"{name}: normalise, context", lambda i: frontend(raws[i]), len(wavs))
    bench.line(f"{name}: all, from the wav", lambda i: frontend(frontend.extract(wavs[i])), len(wavs))
    bench.line(f"{name}: all, from the file", lambda i: frontend(frontend.extract(audio.read(paths[i]))), len(wavs))
    with tempfile.TemporaryDirectory() as kept:
        cache = FeatureCache(Path(kept))

        def cached(index: int) -> Tensor:
            key = cache_key(config, paths[index])
            return frontend(cache.get_or_compute(key, lambda: frontend.extract(wavs[index])))

        bench.line(f"{name}: all, from the cache", cached, len(wavs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=200, help="how many files are taken")
    parser.add_argument("--repeats", type=int, default=9, help=f"at least {MIN_REPEATS}")
    parser.add_argument("--features", nargs="+", default=["fbank40", "fbank80", "mfcc", "mfcc40hires"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix in SUFFIXES)[: arguments.files]
    if not paths:
        parser.error(f"no audio files below {arguments.folder}")
    rate = audio.probe(paths[0]).sample_rate_hz
    wavs = [audio.read(path, sample_rate_hz=rate) for path in paths]
    audio_s = sum(len(wav) for wav in wavs) / rate
    print(f"{len(paths)} files, {audio_s:.0f} s of audio at {rate} Hz; times real time with one thread")
    print(f"{'':<30}{'per core':>10}{'by the clock':>14}")
    bench = Bench(audio_s, max(MIN_REPEATS, arguments.repeats))
    for name in arguments.features:
        bench_features(bench, name, rate, paths, wavs)
    config, feats = (
        AugmentConfig(time_masks=2, freq_masks=2),
        [Frontend(configuration("fbank40", rate)).extract(w) for w in wavs],
    )
    bench.line("change_speed 0.9", lambda i: change_speed(wavs[i], 0.9), len(wavs))
    bench.line("spec_augment", lambda i: spec_augment(feats[i], config, generator(1, 1, str(i))), len(wavs))


if __name__ == "__main__":
    main()
