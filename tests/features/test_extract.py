from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torchaudio.compliance import kaldi as torchaudio_kaldi

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.extract import FEATURES, FeatureExtractor
from asr_ligru.features.framing import TooShortError

from .conftest import UTTERANCES, wav


def noise(samples: int) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(samples))


@pytest.mark.parametrize("name", list(FEATURES))
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_extractor_any_length_gives_the_frames_it_announces(rate: int, name: str) -> None:
    extract = FeatureExtractor(FeaturesConfig(name=name, sample_rate_hz=rate, num_bins=23))
    window = rate * 25 // 1000
    for samples in (window, window + 1, window + rate // 100 - 1, window + rate // 100, rate, rate + 7):
        assert extract(noise(samples)).shape == (extract.num_frames(samples), extract.raw_size)


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_extractor_below_one_window_is_too_short(samples: int) -> None:
    extract = FeatureExtractor(FeaturesConfig())
    assert extract.num_frames(samples) == 0
    with pytest.raises(TooShortError, match=f"{samples} samples, expected at least one window of 400"):
        extract(torch.zeros(samples))


def test_extractor_long_wav_equals_torchaudio_in_one_piece() -> None:
    samples = noise(16000 * 65)
    feats = FeatureExtractor(FeaturesConfig())(samples)
    expected = torchaudio_kaldi.fbank(samples[None] * 32768, num_mel_bins=40)
    torch.testing.assert_close(feats, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_extractor_samples_not_finite_are_refused(bad: float) -> None:
    samples = noise(4000)
    samples[1234] = bad
    with pytest.raises(DataError, match="not finite"):
        FeatureExtractor(FeaturesConfig())(samples)


@pytest.mark.parametrize("samples", [torch.zeros(2, 4000), torch.zeros(4000, dtype=torch.int16)])
def test_extractor_wrong_shape_or_type_is_refused(samples: Tensor) -> None:
    with pytest.raises(DataError, match="expected a wav"):
        FeatureExtractor(FeaturesConfig())(samples)


def test_extractor_impossible_settings_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="num_ceps"):
        FeatureExtractor(FeaturesConfig(name="mfcc", num_bins=10, num_ceps=13))


def test_extractor_wav_is_left_as_it_was(kaldi: Mapping[str, Tensor]) -> None:
    samples = wav(kaldi, "8k", UTTERANCES[0])
    before = samples.clone()
    FeatureExtractor(FeaturesConfig(sample_rate_hz=8000))(samples)
    assert torch.equal(samples, before)


@pytest.mark.parametrize("name", ["fbank", "mfcc"])
@pytest.mark.parametrize("level", [0.0, 0.25])
def test_extract_digital_silence_has_the_features_of_faint_noise(name: str, level: float) -> None:
    extract = FeatureExtractor(FeaturesConfig(name=name))
    generator = torch.Generator().manual_seed(1)
    speech = 0.1 * torch.randn(16000, generator=generator)
    noise = torch.randn(16000, generator=generator) / 2**15
    with_silence = extract(torch.cat([speech, torch.full((16000,), level)]))
    with_noise = extract(torch.cat([speech, noise]))
    assert torch.equal(with_silence[:98], extract(speech))  # those that do not reach into it
    silence = with_silence[101:]
    assert torch.equal(silence, silence[:1].expand_as(silence))
    # Means of 97 frames of noise: each feature's deviation over them, divided by their root, six times.
    assert bool(((silence[0] - with_noise[101:].mean(0)).abs() < 6 * with_noise[101:].std(0) / 97**0.5).all())


def test_extract_faintest_sound_that_16_bits_hold_is_no_silence() -> None:
    extract = FeatureExtractor(FeaturesConfig())
    click = torch.zeros(16000)
    click[8000] = 2.0**-15
    feats = extract(click)
    assert int((feats != feats[0]).any(dim=1).sum()) == 3  # the windows that hold it: 25 ms, each 10 ms
