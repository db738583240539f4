from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from asr_ligru.data import audio
from asr_ligru.errors import EnvironmentError_
from asr_ligru.features.augment import generator
from asr_ligru.features.rooms import reverberated, simulated


def speech(samples: int = 8000) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("file", ["speechbrain_rir1.wav", "speechbrain_rir4.wav", "lhotse_sim_1ch.wav"])
def test_reverberated_equals_scipy_from_the_direct_sound_on(file: str, shared: Path) -> None:
    response = audio.read(shared / "corpora/noise_rir/rir" / file)
    wav, direct = speech(), int(response.abs().argmax())
    expected = fftconvolve(wav.numpy(), (response / response.norm()).numpy())[direct : direct + len(wav)]
    torch.testing.assert_close(reverberated(wav, response), torch.from_numpy(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("delay", [0, 1, 700])
def test_reverberated_keeps_each_sound_at_its_place(delay: int) -> None:
    response = torch.zeros(2000)
    response[delay] = -0.5
    torch.testing.assert_close(reverberated(speech(), response), -speech(), rtol=0, atol=1e-6)


def test_reverberated_is_no_louder_than_full_scale() -> None:
    heard = reverberated(torch.ones(4000), torch.rand(800))
    assert 0.99 < heard.abs().max() <= 1


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_simulated_decays_in_about_the_time_asked_for(rate_hz: int) -> None:
    pra = pytest.importorskip("pyroomacoustics")
    for seconds in (0.2, 0.4):
        response = simulated(generator(1, 0, "room"), rate_hz, (seconds, seconds))
        measured = pra.experimental.measure_rt60(response.double().numpy(), rate_hz, decay_db=20)
        assert 0.6 * seconds < measured < 1.5 * seconds


def test_simulated_is_decided_by_the_generator() -> None:
    pytest.importorskip("pyroomacoustics")
    first, again, other = (simulated(generator(1, 0, name), 8000, (0.1, 0.2)) for name in ("a", "a", "b"))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert np.isfinite(first.numpy()).all()


def test_simulated_shorter_than_any_room_gives_the_shortest_there_is() -> None:
    pytest.importorskip("pyroomacoustics")
    assert simulated(generator(1, 0, "dry"), 8000, (0.05, 0.05)).abs().max() > 0


def test_simulated_without_its_library_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(EnvironmentError_, match=r"asr-ligru\[rooms\]"):
        simulated(generator(1, 0, "a"), 8000, (0.1, 0.2))
