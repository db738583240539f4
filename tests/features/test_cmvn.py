from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from asr_ligru.features.cmvn import CmvnStats

from .conftest import UTTERANCES

SPEAKERS = {"spkA": UTTERANCES[:2], "spkB": UTTERANCES[2:]}
NOT_EXPRESSED = {"sliding": "there is no normalisation over a sliding window"}


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


def test_cmvn_every_array_of_kaldi_is_compared_or_explained(kaldi: Mapping[str, Tensor]) -> None:
    names = {name.split("/")[2] for name in kaldi if name.startswith("8k/post/")}
    rest = {name for name in names if not name.startswith(("add_deltas", "splice", *NOT_EXPRESSED))}
    assert rest == {"cmvn_stats_spk", "cmvn_spk_mean", "cmvn_spk_meanvar"}


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
