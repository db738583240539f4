from __future__ import annotations

import numpy as np
import pytest
from asr_ligru.recipes.demo.randomness import generator
from asr_ligru.recipes.demo.rooms import (
    SAMPLE_RATE_HZ,
    Scene,
    babble,
    coloured,
    draw_scene,
    impulse_response,
    place,
)
from scipy.signal import welch

RNG_NAME = "rooms"


def _power_db(wav: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(wav**2)))


@pytest.mark.parametrize("rt60_s", [0.1, 0.25, 0.4])
def test_impulse_response_decay_by_schroeder_is_as_asked(rt60_s: float) -> None:
    tail = impulse_response(generator(0, RNG_NAME), rt60_s, 6.0)[1:]
    energy_db = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))
    part = (energy_db < -5) & (energy_db > -35)  # T30 of ISO 3382
    time_s = np.arange(len(tail)) / SAMPLE_RATE_HZ
    slope = np.polyfit(time_s[part], energy_db[part], 1)[0]
    assert -60 / slope == pytest.approx(rt60_s, rel=0.1)


def test_impulse_response_begins_with_direct_sound() -> None:
    room = impulse_response(generator(0, RNG_NAME), 0.3, 6.0)
    assert room[0] == 1.0
    assert -10 * np.log10(np.sum(room[1:] ** 2)) == pytest.approx(6.0)


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_coloured_noise_slope_by_welch_is_as_asked(colour: float) -> None:
    noise = coloured(generator(0, RNG_NAME), 30 * SAMPLE_RATE_HZ, colour)
    frequency_hz, power = welch(noise, SAMPLE_RATE_HZ, nperseg=4096)
    part = (frequency_hz > 100) & (frequency_hz < 7000)
    slope = np.polyfit(np.log10(frequency_hz[part]), np.log10(power[part]), 1)[0]
    assert slope == pytest.approx(-colour, abs=0.05)


@pytest.mark.parametrize("noise_kind", ["coloured", "babble"])
@pytest.mark.parametrize("snr_db", [5.0, 20.0])
def test_place_levels_and_snr_are_as_asked(noise_kind: str, snr_db: float) -> None:
    rng = generator(0, RNG_NAME)
    wav = np.zeros(20000, np.float32)
    wav[3000:15000] = 0.1 * rng.standard_normal(12000)
    talkers = [rng.standard_normal(8000 + 1000 * n).astype(np.float32) for n in range(5)]
    scene = Scene(0.3, 6.0, noise_kind, 1.0, snr_db, -24.0)
    speech, noise = place(rng, wav, slice(3000, 15000), scene, talkers)
    assert _power_db(speech[3000:15000]) == pytest.approx(-24.0)
    assert _power_db(speech[3000:15000]) - _power_db(noise) == pytest.approx(snr_db)
    assert np.abs(speech[:3000]).max() < 1e-12  # nothing is heard before it is said


def test_place_of_loud_speech_stays_below_full_scale() -> None:
    rng = generator(0, RNG_NAME)
    wav = np.zeros(16000, np.float32)
    wav[8000] = 1.0  # one click: its peak is far above its root mean square
    speech, noise = place(rng, wav, slice(4000, 12000), Scene(0.1, 12.0, "coloured", 0.0, 5.0, -20.0), [])
    assert np.abs(speech + noise).max() == pytest.approx(0.9)
    assert _power_db(speech[4000:12000]) - _power_db(noise) == pytest.approx(5.0)


def test_babble_of_short_talkers_fills_its_length() -> None:
    talkers = [np.ones(10, np.float32), np.full(7, 5.0, np.float32)]
    mixed = babble(generator(0, RNG_NAME), talkers, 1000)
    assert len(mixed) == 1000
    assert mixed.std() == pytest.approx(0.0, abs=1e-12)
    assert 4 <= round(mixed[0]) <= 7  # as many talkers, each of root mean square 1


def test_draw_scene_ranges_are_covered_and_kept() -> None:
    scenes = [draw_scene(generator(0, str(index))) for index in range(500)]
    for name, low, high in (("snr_db", 5, 20), ("rt60_s", 0.1, 0.4), ("direct_db", 3, 12), ("colour", 0, 2)):
        values = np.array([getattr(scene, name) for scene in scenes])
        width = high - low
        assert low <= values.min() < low + 0.05 * width
        assert high - 0.05 * width < values.max() <= high
    assert {scene.noise for scene in scenes} == {"coloured", "babble"}
