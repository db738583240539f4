from __future__ import annotations

import pytest
import torch
from torchaudio.functional import mu_law_decoding, mu_law_encoding

from asr_ligru.data.codec import CODECS, coded, telephoned


def speech(samples: int, rate_hz: int) -> torch.Tensor:
    """Return a sweep from 200 to 1000 Hz with syllables, and faint noise of all frequencies."""
    time = torch.arange(samples) / rate_hz
    sweep = torch.sin(2 * torch.pi * (200 + 400 * time * rate_hz / samples) * time)
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    return 0.2 * sweep * (0.6 + 0.4 * torch.sin(20 * time)) + 0.005 * noise


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050])
def test_coded_is_near_and_each_sound_at_its_place(name: str, rate_hz: int) -> None:
    wav = speech(rate_hz, rate_hz)
    heard = coded(wav, rate_hz, name, 0.3)
    assert heard.shape == wav.shape
    assert not torch.equal(heard, wav)
    lags = torch.fft.irfft(torch.fft.rfft(heard, 2 * rate_hz) * torch.fft.rfft(wav, 2 * rate_hz).conj())
    assert int(lags.argmax()) in (0, 1, 2 * rate_hz - 1)
    assert float((heard - wav).norm() / wav.norm()) < 0.4


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("samples", [1, 30, 399])
def test_coded_very_short_keeps_its_length(name: str, samples: int) -> None:
    heard = coded(speech(samples, 16000), 16000, name, 0.9)
    assert len(heard) == samples
    assert heard.isfinite().all()


@pytest.mark.parametrize("name", ["mp3", "vorbis", "opus"])
def test_coded_at_a_higher_level_is_worse(name: str) -> None:
    wav = speech(16000, 16000)
    mild, hard = (float((coded(wav, 16000, name, level) - wav).norm()) for level in (0.0, 0.99))
    assert hard > 1.2 * mild


def test_coded_mulaw_is_as_coarse_as_torchaudios() -> None:
    wav = speech(16000, 16000)
    theirs = mu_law_decoding(mu_law_encoding(wav, 256), 256)  # the curve that G.711 approximates by segments
    assert float((coded(wav, 16000, "mulaw") - wav).norm()) < 1.5 * float((theirs - wav).norm())


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_telephoned_has_nothing_above_4_khz(rate_hz: int) -> None:
    wav = 0.1 * torch.randn(rate_hz, generator=torch.Generator().manual_seed(0))
    power = torch.fft.rfft(telephoned(wav, rate_hz)).abs() ** 2  # a bin for each Hz
    before = torch.fft.rfft(wav).abs() ** 2
    assert power[4100:].sum() < 1e-3 * before[4100:].sum()
    assert 0.5 < power[300:3400].sum() / before[300:3400].sum() < 1.5


def test_telephoned_at_8_khz_only_loses_bits() -> None:
    wav = speech(8000, 8000)
    assert torch.equal(telephoned(wav, 8000), coded(wav, 8000, "mulaw"))
