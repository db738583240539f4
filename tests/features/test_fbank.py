from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.features.fbank import fbank

from .conftest import TOLERANCE, UTTERANCES, wav

COVERED: dict[str, dict[str, Any]] = {
    "8k/fbank40": {},
    "8k/fbank80": {"num_bins": 80},
    "8k/fbank_default23": {"num_bins": 23},
    "8k/fbank40_20ms_5ms": {"frame_length_ms": 20.0, "frame_shift_ms": 5.0},
    "8k/fbank40_band": {"low_freq_hz": 100.0, "high_freq_hz": 3500.0},
    "8k/fbank40_vtln0.9": {"vtln_warp": 0.9},
    "8k/fbank40_vtln1.1": {"vtln_warp": 1.1},
    "16k/fbank40": {},
    "16k/fbank80": {"num_bins": 80},
}
# There is no setting for these: recipes do not use them.
NOT_EXPRESSED = {
    "8k/fbank40_blackman": "the window is Kaldi's default, povey",
    "8k/fbank40_hamming": "the window is Kaldi's default, povey",
    "8k/fbank40_hanning": "the window is Kaldi's default, povey",
    "8k/fbank40_rect_nopre_nodc": "the window is Kaldi's default, povey, with pre-emphasis",
    "8k/fbank40_energy": "no energy column",
    "8k/fbank40_linear": "always the logarithm",
    "8k/fbank40_magnitude": "always the power spectrum",
    "8k/fbank40_nopow2": "the transform's length is a power of two",
    "8k/fbank40_snip0": "only whole windows (snip-edges)",
    "16k/fbank40_snip0": "only whole windows (snip-edges)",
}


@pytest.mark.parametrize("utterance", UTTERANCES)
@pytest.mark.parametrize("name", COVERED)
def test_fbank_each_setting_equals_kaldi(kaldi: Mapping[str, Tensor], name: str, utterance: str) -> None:
    rate = name.split("/")[0]
    config = FeaturesConfig(sample_rate_hz=1000 * int(rate[:-1]), **COVERED[name])
    feats = fbank(wav(kaldi, rate, utterance), config)
    assert feats.dtype == torch.float32
    torch.testing.assert_close(feats, kaldi[f"{name}/{utterance}"], rtol=0, atol=TOLERANCE[rate])


def test_fbank_every_array_of_kaldi_is_compared_or_explained(shared: Path) -> None:
    configs = json.loads((shared / "oracles" / "fmllr" / "feats.json").read_text(encoding="utf-8"))["configs"]
    assert {name for name in configs if "/fbank" in name} == COVERED.keys() | NOT_EXPRESSED.keys()


def test_fbank_digital_silence_is_finite() -> None:
    feats = fbank(torch.zeros(16000), FeaturesConfig())
    assert feats.isfinite().all()
    assert (feats == feats[0, 0]).all()
