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
from asr_ligru.features.kaldi_options import KaldiOptions

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
OPTIONS = {
    "8k/fbank40_blackman": KaldiOptions(window_type="blackman"),
    "8k/fbank40_hamming": KaldiOptions(window_type="hamming"),
    "8k/fbank40_hanning": KaldiOptions(window_type="hanning"),
    "8k/fbank40_rect_nopre_nodc": KaldiOptions(
        window_type="rectangular", preemphasis_coefficient=0, remove_dc_offset=False
    ),
    "8k/fbank40_energy": KaldiOptions(use_energy=True),
    "8k/fbank40_linear": KaldiOptions(use_log_fbank=False),
    "8k/fbank40_magnitude": KaldiOptions(use_power=False),
    "8k/fbank40_nopow2": KaldiOptions(round_to_power_of_two=False),
    "8k/fbank40_snip0": KaldiOptions(snip_edges=False),
    "16k/fbank40_snip0": KaldiOptions(snip_edges=False),
}


@pytest.mark.parametrize("utterance", UTTERANCES)
@pytest.mark.parametrize("name", COVERED | OPTIONS)
def test_fbank_each_setting_equals_kaldi(kaldi: Mapping[str, Tensor], name: str, utterance: str) -> None:
    rate = name.split("/")[0]
    config = FeaturesConfig(sample_rate_hz=1000 * int(rate[:-1]), **COVERED.get(name, {}))
    feats = fbank(wav(kaldi, rate, utterance), config, OPTIONS.get(name, KaldiOptions()))
    assert feats.dtype == torch.float32
    expected = kaldi[f"{name}/{utterance}"]
    if name.endswith("linear"):
        feats, expected = feats.log(), expected.log()
    torch.testing.assert_close(feats, expected, rtol=0, atol=TOLERANCE[rate])


def test_fbank_every_array_of_kaldi_is_compared(shared: Path) -> None:
    configs = json.loads((shared / "oracles" / "fmllr" / "feats.json").read_text(encoding="utf-8"))["configs"]
    assert {name for name in configs if "/fbank" in name} == COVERED.keys() | OPTIONS.keys()


def test_fbank_digital_silence_is_finite() -> None:
    feats = fbank(torch.zeros(16000), FeaturesConfig())
    assert feats.isfinite().all()
    assert (feats == feats[0, 0]).all()
