"""Measure how much faster the compiled search of words is than the one in torch, with one thread.

    python -m tools.bench_viterbi MODEL MANIFEST [--turns 7]

MODEL is what ``asr-ligru fmllr train`` made. Both decode the unadapted features of all utterances, scores of the
Gaussians included, and take turns; seconds are the processor's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch

from asr_ligru.config import CorpusConfig
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.source import FeatureSource
from asr_ligru.hmm import viterbi
from asr_ligru.hmm.material import load
from asr_ligru.hmm.system import System
from asr_ligru.typing import BadUtterance

REFUSALS = {"torch": "not wanted", "compiled": ""}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    system, bad = System.read(options.model), list[BadUtterance]()
    source = FeatureSource(system.features, CorpusConfig(dir=str(options.manifest.parent)))
    material = load(read_manifest(options.manifest), source, system.vocabulary, bad, spoken=False)
    feats = system.project(material.base)
    print(f"{len(feats)} utterances, {len(bad)} left out")
    times: dict[str, list[float]] = {name: [] for name in REFUSALS}
    for _ in range(options.turns):
        for name, refusal in REFUSALS.items():
            with patch.object(viterbi, "refusal", partial(str, refusal)):
                began_s = time.process_time()
                system.loop.decode(system.trained.model, feats)
                times[name].append(time.process_time() - began_s)
    for name, found in times.items():
        print(f"{name}: {statistics.median(found):.2f} s ({min(found):.2f} to {max(found):.2f})")
    ratios = [slow / fast for slow, fast in zip(*times.values(), strict=True)]
    print(f"compiled is {statistics.median(ratios):.1f} times as fast ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
