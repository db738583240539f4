from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_ligru.features.cmvn import CmvnStats, normalize_sliding

from .conftest import UTTERANCES

SPEAKERS = {"spkA": UTTERANCES[:2], "spkB": UTTERANCES[2:]}
SLIDING: dict[str, dict[str, Any]] = {
    "sliding_default": {},
    "sliding_center_w20": {"center": True, "window": 20},
    "sliding_left_w20_min10": {"window": 20, "min_window": 10},
    "sliding_center_w20_var": {"center": True, "window": 20, "variance": True},
    "sliding_left_w20_min5_var": {"window": 20, "min_window": 5, "variance": True},
}


def stats_of(kaldi: Mapping[str, Tensor], speaker: str) -> CmvnStats:
    first, *others = (CmvnStats.of(kaldi[f"8k/mfcc_default/{utterance}"]) for utterance in SPEAKERS[speaker])
    return sum(others, start=first)


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_cmvn_stats_of_a_speaker_equal_kaldi(kaldi: Mapping[str, Tensor], speaker: str) -> None:
    torch.testing.assert_close(stats_of(kaldi, speaker).table, kaldi[f"8k/post/cmvn_stats_spk/{speaker}"])


@pytest.mark.parametrize(("name", "variance"), [("cmvn_spk_mean", False), ("cmvn_spk_meanvar", True)])
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_cmvn_normalize_equals_kaldi(kaldi: Mapping[str, Tensor], speaker: str, name: str, variance: bool) -> None:
    stats = stats_of(kaldi, speaker)
    for utterance in SPEAKERS[speaker]:
        feats = stats.normalize(kaldi[f"8k/mfcc_default/{utterance}"], variance=variance)
        torch.testing.assert_close(feats, kaldi[f"8k/post/{name}/{utterance}"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SLIDING)
@pytest.mark.parametrize("utterance", UTTERANCES)
def test_normalize_sliding_equals_kaldi(kaldi: Mapping[str, Tensor], utterance: str, name: str) -> None:
    feats = normalize_sliding(kaldi[f"8k/mfcc_default/{utterance}"], **SLIDING[name])
    torch.testing.assert_close(feats, kaldi[f"8k/post/{name}/{utterance}"], rtol=1e-5, atol=2e-5)


def test_normalize_sliding_window_longer_than_the_utterance_equals_its_mean() -> None:
    feats = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(normalize_sliding(feats), feats - feats.mean(0))
    assert normalize_sliding(feats[:1]).abs().sum() == 0


def test_cmvn_every_array_of_kaldi_is_compared(kaldi: Mapping[str, Tensor]) -> None:
    names = {name.split("/")[2] for name in kaldi if name.startswith("8k/post/")}
    rest = {name for name in names if not name.startswith(("add_deltas", "splice"))}
    assert rest == {"cmvn_stats_spk", "cmvn_spk_mean", "cmvn_spk_meanvar", *SLIDING}


@pytest.mark.parametrize("value", [0.0, -15.942385, 1e4])
@pytest.mark.parametrize("frames", [1, 2, 1777])
def test_cmvn_feature_that_does_not_vary_becomes_zero(frames: int, value: float) -> None:
    feats = torch.stack([torch.full((frames,), value), torch.arange(frames) % 7], dim=1)
    normalized = CmvnStats.of(feats).normalize(feats)
    assert (normalized[:, 0] == 0).all()
    assert normalized.isfinite().all()


def test_cmvn_small_variation_on_a_large_mean_is_kept() -> None:
    feats = 100 + 0.01 * torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    normalized = CmvnStats.of(feats).normalize(feats).double()
    torch.testing.assert_close(normalized.std(0, correction=0), torch.ones(3, dtype=torch.float64), rtol=1e-5, atol=0)
    torch.testing.assert_close(normalized.mean(0), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-6)
