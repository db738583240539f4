from __future__ import annotations

import math

import pytest
import torch

from asr_ligru.features.tempo import change_tempo, tempo_samples

RATE_HZ = 16000


def tone(pitch_hz: float, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * pitch_hz * torch.arange(int(seconds * rate_hz)) / rate_hz)


@pytest.mark.parametrize("tempo", [0.5, 0.8, 0.9, 1.1, 1.25, 2.0])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_change_tempo_keeps_the_pitch_and_changes_the_length(tempo: float, rate_hz: int) -> None:
    wav = change_tempo(tone(440.0, rate_hz=rate_hz), tempo, rate_hz)
    assert len(wav) == tempo_samples(rate_hz, tempo) == math.ceil(rate_hz / tempo)
    peak_hz = int(torch.fft.rfft(wav).abs().argmax()) * rate_hz / len(wav)
    assert abs(peak_hz - 440) < 2
    middle = wav[len(wav) // 4 : -len(wav) // 4]
    assert abs(float(middle.abs().max()) - 0.5) < 0.08


@pytest.mark.parametrize("tempo", [0.8, 1.25])
def test_change_tempo_keeps_each_sound_at_its_place(tempo: float) -> None:
    wav = torch.zeros(RATE_HZ * 2)
    starts = (4000, 12000, 24000)
    for start in starts:
        wav[start : start + 2400] = tone(500.0, 0.15)
    power = change_tempo(wav, tempo, RATE_HZ) ** 2
    for start in starts:
        middle = round((start + 1200) / tempo)
        near = power[middle - 2400 : middle + 2400]
        centre = float((near * torch.arange(-2400, 2400)).sum() / near.sum())
        assert abs(centre) < 240  # 15 ms: a burst is smeared by a window of 32 ms


def test_change_tempo_one_changes_nothing() -> None:
    wav = torch.rand(100)
    assert change_tempo(wav, 1.0, RATE_HZ) is wav


@pytest.mark.parametrize("samples", [1, 2, 100, 511])
def test_change_tempo_shorter_than_a_window_stays_finite(samples: int) -> None:
    wav = change_tempo(torch.rand(samples), 1.1, RATE_HZ)
    assert len(wav) == tempo_samples(samples, 1.1)
    assert wav.isfinite().all()
