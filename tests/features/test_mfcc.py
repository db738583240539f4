from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.features.kaldi_options import KaldiOptions
from asr_ligru.features.mfcc import mfcc

from .conftest import TOLERANCE, UTTERANCES, wav

PLAIN: dict[str, Any] = {"num_bins": 23, "num_ceps": 13}
HIRES: dict[str, Any] = {"num_bins": 40, "num_ceps": 40, "low_freq_hz": 20.0, "high_freq_hz": -400.0}
ENERGY = KaldiOptions(use_energy=True)
OPTIONS = {
    "8k/mfcc_default": ENERGY,
    "16k/mfcc_default": ENERGY,
    "8k/mfcc_20ceps_nolifter": KaldiOptions(cepstral_lifter=0),
    "8k/mfcc_energyfloor1": KaldiOptions(use_energy=True, energy_floor=1, snip_edges=False),
    "8k/mfcc_htk": KaldiOptions(htk_compat=True, window_type="hamming"),
    "8k/mfcc_rawenergyfalse": KaldiOptions(use_energy=True, raw_energy=False),
    "8k/mfcc_snip0": KaldiOptions(use_energy=True, snip_edges=False),
}
COVERED = {
    **dict.fromkeys(OPTIONS, PLAIN),
    "8k/mfcc_20ceps_nolifter": {"num_bins": 30, "num_ceps": 20},
    "8k/mfcc_noenergy": PLAIN,
    "8k/mfcc_hires40": HIRES,
    "16k/mfcc_noenergy": PLAIN,
    "16k/mfcc_hires40": HIRES,
}


@pytest.mark.parametrize("utterance", UTTERANCES)
@pytest.mark.parametrize("name", COVERED)
def test_mfcc_each_setting_equals_kaldi(kaldi: Mapping[str, Tensor], name: str, utterance: str) -> None:
    rate = name.split("/")[0]
    config = FeaturesConfig(name="mfcc", sample_rate_hz=1000 * int(rate[:-1]), **COVERED[name])
    feats = mfcc(wav(kaldi, rate, utterance), config, OPTIONS.get(name, KaldiOptions()))
    assert feats.dtype == torch.float32
    torch.testing.assert_close(feats, kaldi[f"{name}/{utterance}"], rtol=0, atol=TOLERANCE[rate])


def test_mfcc_every_array_of_kaldi_is_compared(shared: Path) -> None:
    configs = json.loads((shared / "oracles" / "fmllr" / "feats.json").read_text(encoding="utf-8"))["configs"]
    assert {name for name in configs if "/mfcc" in name} == COVERED.keys()
