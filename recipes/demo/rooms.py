"""Simulated rooms and noises, and how they are put on clean speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve

Samples = NDArray[np.float64]

SAMPLE_RATE_HZ = 16000
_FIRST_REFLECTION_S = 0.002
_LOWEST_HZ = 50.0  # below it a coloured noise is as strong as here
_TALKERS = (4, 8)  # of a babble: from, below
_PEAK = 0.9


@dataclass(frozen=True, slots=True)
class Scene:
    """What surrounds one utterance.

    Attributes:
        rt60_s: time in which the room's sound decays by 60 dB.
        direct_db: energy of the direct sound over that of the reverberation.
        noise: "coloured" or "babble".
        colour: the coloured noise's power falls with frequency to this power: 0 white, 1 pink, 2 brown.
        snr_db: power of the speech in its room, from first to last word, over that of the noise.
        level_db: root mean square of the speech, from first to last word, over full scale.
    """

    rt60_s: float
    direct_db: float
    noise: str
    colour: float
    snr_db: float
    level_db: float


def draw_scene(rng: Generator) -> Scene:
    """Return a random scene: RT60 0.1 to 0.4 s, SNR 5 to 20 dB."""
    low = (0.1, 3.0, 0.0, 5.0, -30.0)
    high = (0.4, 12.0, 2.0, 20.0, -20.0)
    rt60_s, direct_db, colour, snr_db, level_db = (round(float(value), 3) for value in rng.uniform(low, high))
    noise = "babble" if rng.random() < 0.4 else "coloured"
    return Scene(rt60_s, direct_db, noise, colour, snr_db, level_db)


def impulse_response(rng: Generator, rt60_s: float, direct_db: float) -> Samples:
    """Return a room's impulse response: the direct sound at sample 0, then decaying noise.

    Args:
        rng: source of the noise.
        rt60_s: seconds, > 0.002.
        direct_db: energy of the direct sound over that of the rest.

    Source: Polack, 1988, reverberation as Gaussian noise with an exponential envelope; no early reflections, and the
    same decay at all frequencies.
    """
    time_s = np.arange(round(rt60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / rt60_s)
    tail[time_s < _FIRST_REFLECTION_S] = 0.0
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def coloured(rng: Generator, count: int, colour: float) -> Samples:
    """Return ``count`` samples of Gaussian noise whose power falls with frequency to the power ``colour``."""
    size = next_fast_len(count, real=True)
    spectrum = rfft(rng.standard_normal(size))
    frequency_hz = np.arange(len(spectrum)) * SAMPLE_RATE_HZ / size
    shaped: Samples = irfft(spectrum * np.maximum(frequency_hz, _LOWEST_HZ) ** (-colour / 2), size)
    return shaped[:count]


def babble(rng: Generator, talkers: Sequence[NDArray[np.float32]], count: int) -> Samples:
    """Return ``count`` samples of four to seven talkers at once, equally loud.

    Args:
        rng: chooses who talks and where each begins.
        talkers: utterances to choose from.
        count: samples.
    """
    total = np.zeros(count)
    for index in rng.integers(len(talkers), size=int(rng.integers(*_TALKERS))):
        wav = talkers[index].astype(np.float64)
        start = int(rng.integers(len(wav)))
        total += np.resize(np.roll(wav, -start), count) / _rms(wav)
    return total


def place(
    rng: Generator,
    wav: NDArray[np.float32],
    speaking: slice,
    scene: Scene,
    talkers: Sequence[NDArray[np.float32]],
) -> tuple[Samples, Samples]:
    """Put clean speech into its scene.

    Args:
        rng: source of everything random.
        wav: (N,) clean speech with silence around it.
        speaking: its samples from first to last word.
        scene: where it is to be.
        talkers: utterances of other speakers, for babble.

    Returns:
        The (N,) speech in its room and the (N,) noise; their sum is what the microphone hears, below full scale.
    """
    room = impulse_response(rng, scene.rt60_s, scene.direct_db)
    speech = fftconvolve(wav.astype(np.float64), room)[: len(wav)]
    speech *= 10 ** (scene.level_db / 20) / _rms(speech[speaking])
    if scene.noise == "babble":
        noise = babble(rng, talkers, len(wav))
    else:
        noise = coloured(rng, len(wav), scene.colour)
    noise *= 10 ** (-scene.snr_db / 20) * _rms(speech[speaking]) / _rms(noise)
    scale = min(1.0, _PEAK / float(np.abs(speech + noise).max()))
    return speech * scale, noise * scale


def _rms(wav: Samples) -> float:
    return float(np.sqrt(np.mean(wav**2)))
