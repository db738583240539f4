from __future__ import annotations

import math

import pytest
import torch

from asr_ligru.features.noise import with_gain, with_noise


def signal(seed: int, samples: int = 16000) -> torch.Tensor:
    return 0.05 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 10.0, 37.5])
@pytest.mark.parametrize("level", [1e-4, 1.0, 3.0])
def test_with_noise_has_the_snr_that_was_asked_for(snr_db: float, level: float) -> None:
    wav, noise = signal(1), level * signal(2)
    noisy = with_noise(wav, noise, snr_db).double()
    # what of it is speech and what noise, by least squares
    parts = torch.stack([wav, noise], 1).double()
    speech, rest = torch.linalg.lstsq(parts, noisy).solution.tolist()
    measured = 20 * math.log10(speech * float(wav.norm()) / (rest * float(noise.norm())))
    assert abs(measured - snr_db) < 0.1
    assert noisy.abs().max() <= 1


def test_with_noise_silent_speech_or_noise_stays_as_it_is() -> None:
    wav, silence = signal(1), torch.zeros(16000)
    assert torch.equal(with_noise(wav, silence, 10.0), wav)
    assert torch.equal(with_noise(wav, silence + 1e-25, 10.0), wav)  # its power is 0 in float32
    assert torch.equal(with_noise(wav, silence + 1e-7, 10.0), wav)
    assert not torch.equal(with_noise(wav, silence.index_fill(0, torch.tensor([5]), 0.5), 10.0), wav)
    assert torch.equal(with_noise(silence, wav, 10.0), silence)


def test_with_gain_is_decibels_and_clips() -> None:
    wav = torch.tensor([0.1, -0.02, 0.9])
    torch.testing.assert_close(with_gain(wav, 20.0), torch.tensor([1.0, -0.2, 1.0]))
    torch.testing.assert_close(with_gain(wav, -20.0), wav / 10)
