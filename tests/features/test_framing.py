from __future__ import annotations

from typing import Any

import pytest

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import ConfigError
from asr_ligru.features.framing import Framing, check


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (1, 0), (399, 0), (400, 1), (401, 1), (559, 1), (560, 2), (16000, 98)]
)
def test_framing_16khz_counts_whole_windows(samples: int, frames: int) -> None:
    assert Framing.of(FeaturesConfig()).num_frames(samples) == frames


def test_framing_part_of_a_sample_is_dropped() -> None:
    assert Framing.of(FeaturesConfig(sample_rate_hz=11025)) == Framing(window=275, shift=110)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"high_freq_hz": 9000.0}, "high_freq_hz"),
        ({"low_freq_hz": 8000.0}, "low_freq_hz"),
        ({"high_freq_hz": -8000.0}, "high_freq_hz"),
        ({"name": "mfcc", "num_bins": 23, "num_ceps": 24}, "num_ceps"),
        ({"sample_rate_hz": 8000, "num_bins": 200}, "num_bins"),
        ({"sample_rate_hz": 1000, "frame_length_ms": 1.0}, "frame_length_ms"),
        ({"sample_rate_hz": 1000, "num_bins": 5, "vtln_warp": 1.1}, "vtln_warp"),
        ({"low_freq_hz": 120.0, "vtln_warp": 0.9}, "vtln_warp"),
    ],
)
def test_check_impossible_settings_are_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check(FeaturesConfig(**settings))


def test_check_two_problems_are_both_named() -> None:
    with pytest.raises(ConfigError, match=r"high_freq_hz.*num_ceps"):
        check(FeaturesConfig(name="mfcc", num_bins=10, num_ceps=13, high_freq_hz=9000.0))


@pytest.mark.parametrize("warp", [0.5, 0.8, 1.2, 2.0])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_check_usual_settings_pass_with_any_warp(rate: int, warp: float) -> None:
    config = FeaturesConfig(sample_rate_hz=rate, num_bins=23, vtln_warp=warp)
    check(config)
    assert Framing.of(config).num_frames(rate) == 98
