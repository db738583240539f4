"""A corpus of tones: each word is a pitch, so that a small model learns it in seconds."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from asr_ligru.data import audio
from asr_ligru.data.manifest import write_manifest
from asr_ligru.typing import Utterance

SAMPLE_RATE_HZ = 8000
PITCH_HZ = {"ab": 400.0, "cd": 900.0, "ef": 1600.0, "gh": 2500.0}
# What every run on it needs.
OVERRIDES = (
    "corpus=demo",
    "features=fbank40_8k",
    "features.num_bins=12",
    "cell.hidden_size=12",
    "cell.num_layers=1",
    "train.progress=false",
    "train.threads=1",
    "train.batch_frames=600",
)


def say(words: list[str], seed: int) -> torch.Tensor:
    """Return (N,) samples: 0.25 s of a tone for each word, 0.1 s of quiet noise around it."""
    noise = torch.Generator().manual_seed(seed)
    time = torch.arange(SAMPLE_RATE_HZ // 4) / SAMPLE_RATE_HZ
    gap = torch.zeros(SAMPLE_RATE_HZ // 10)
    tones = [torch.cat([gap, 0.3 * torch.sin(2 * math.pi * PITCH_HZ[w] * time)]) for w in words]
    wav = torch.cat([*tones, gap])
    return wav + 0.003 * torch.randn(len(wav), generator=noise)


def write_corpus(folder: Path, num_train: int = 24) -> Path:
    """Write train, dev and test manifests with their audio, and return ``folder``."""
    words = list(PITCH_HZ)
    rng = torch.Generator().manual_seed(0)
    seed = 0
    for split, size in (("train", num_train), ("dev", 6), ("test", 6)):
        utterances = []
        for number in range(size):
            length = 1 + int(torch.randint(3, (), generator=rng))
            text = [words[int(torch.randint(4, (), generator=rng))] for _ in range(length)]
            wav = say(text, seed := seed + 1)
            path = folder / "wav" / split / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            audio.write(path, wav, SAMPLE_RATE_HZ)
            seconds = len(wav) / SAMPLE_RATE_HZ
            utterances.append(
                Utterance(f"{split}-{number}", path, seconds, " ".join(text), f"{split}-speaker{number % 2}")
            )
        write_manifest(folder / f"{split}.jsonl", utterances)
    return folder
