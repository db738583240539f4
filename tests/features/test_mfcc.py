from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.features.mfcc import mfcc

from .conftest import TOLERANCE, UTTERANCES, wav

PLAIN: dict[str, Any] = {"num_bins": 23, "num_ceps": 13}
HIRES: dict[str, Any] = {"num_bins": 40, "num_ceps": 40, "low_freq_hz": 20.0, "high_freq_hz": -400.0}
COVERED = {
    "8k/mfcc_noenergy": PLAIN,
    "8k/mfcc_hires40": HIRES,
    "16k/mfcc_noenergy": PLAIN,
    "16k/mfcc_hires40": HIRES,
}
WITHOUT_FIRST = {"8k/mfcc_default": PLAIN, "16k/mfcc_default": PLAIN}  # these have the energy in place of C0
NOT_EXPRESSED = {
    "8k/mfcc_20ceps_nolifter": "the lifter is Kaldi's default, 22",
    "8k/mfcc_energyfloor1": "no energy, and only whole windows",
    "8k/mfcc_htk": "Kaldi's order and window",
    "8k/mfcc_rawenergyfalse": "no energy",
    "8k/mfcc_snip0": "only whole windows (snip-edges)",
}


@pytest.mark.parametrize("utterance", UTTERANCES)
@pytest.mark.parametrize("name", COVERED | WITHOUT_FIRST)
def test_mfcc_each_setting_equals_kaldi(kaldi: Mapping[str, Tensor], name: str, utterance: str) -> None:
    rate = name.split("/")[0]
    config = FeaturesConfig(name="mfcc", sample_rate_hz=1000 * int(rate[:-1]), **(COVERED | WITHOUT_FIRST)[name])
    feats, expected = mfcc(wav(kaldi, rate, utterance), config), kaldi[f"{name}/{utterance}"]
    first = 1 if name in WITHOUT_FIRST else 0
    assert feats.shape == expected.shape
    assert feats.dtype == torch.float32
    torch.testing.assert_close(feats[:, first:], expected[:, first:], rtol=0, atol=TOLERANCE[rate])


def test_mfcc_every_array_of_kaldi_is_compared_or_explained(shared: Path) -> None:
    configs = json.loads((shared / "oracles" / "fmllr" / "feats.json").read_text(encoding="utf-8"))["configs"]
    named = COVERED.keys() | WITHOUT_FIRST.keys() | NOT_EXPRESSED.keys()
    assert {name for name in configs if "/mfcc" in name} == named
