"""Kaldi's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_ligru.torchaudio_import import ensure

ensure()  # some tests here import torchaudio

UTTERANCES = ("7_jackson_32", "3_nicolas_11", "9_theo_20")
# What float32 implementations differ from Kaldi's float32 by: the 16 kHz files are resampled from 8 kHz, and rounding
# shows in the logarithm of their empty upper half.
TOLERANCE = {"8k": 3e-4, "16k": 2e-3}


@pytest.fixture(scope="session")
def kaldi(shared: Path) -> Mapping[str, Tensor]:
    """Return the arrays that Kaldi computed from three recordings, by name."""
    with np.load(shared / "oracles" / "fmllr" / "feats.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def wav(kaldi: Mapping[str, Tensor], rate: str, utterance: str) -> Tensor:
    """Return a recording in [-1, 1]."""
    return kaldi[f"wav{rate}/{utterance}"].float() / 32768
