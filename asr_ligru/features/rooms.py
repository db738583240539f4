"""Speech in rooms: impulse responses, recorded or simulated, and how speech sounds through them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import fftconvolve

from asr_ligru.errors import EnvironmentError_

_SIZE_M = ((3.0, 3.0, 2.5), (8.0, 8.0, 3.5))  # smallest and largest length, width and height
_TO_WALL_M = 0.5
_MOST_REFLECTIONS = 30  # of one path; a longer way round has decayed by then


def reverberated(wav: Tensor, response: Tensor) -> Tensor:
    """Return ``wav`` as it sounds in a room, each word where it was.

    Args:
        wav: (N,) float32.
        response: (M,) float32 impulse response. Its largest value is taken for the direct sound and put at sample
            0, so that frames keep their alignment. It is scaled to unit energy, which about keeps the volume.

    Returns:
        (N,) float32, made quieter where it would exceed full scale.
    """
    unit = response / torch.linalg.vector_norm(response)
    direct = int(unit.abs().argmax())
    heard: Tensor = fftconvolve(wav, unit)[direct : direct + len(wav)]
    return heard / max(1.0, float(heard.abs().max()))


def simulated(rng: np.random.Generator, sample_rate_hz: int, rt60_s: tuple[float, ...]) -> Tensor:
    """Return the impulse response of a random room with a speaker and a microphone in it.

    Args:
        rng: draws the room.
        sample_rate_hz: of the response.
        rt60_s: least and most time in which sound decays by 60 dB.

    Returns:
        (M,) float32.

    Raises:
        EnvironmentError_: the ``rooms`` extra is not installed.

    Source: Allen and Berkley, "Image method for efficiently simulating small-room acoustics", 1979, as pyroomacoustics
    implements it; absorption by Sabine's formula.
    """
    try:
        import pyroomacoustics
    except ImportError as error:
        fix = 'pip install "asr-ligru[rooms]", or name a folder of impulse responses with train.augment.room_dir'
        raise EnvironmentError_("pyroomacoustics, which simulates rooms, is not installed", fix=fix) from error
    size = rng.uniform(*_SIZE_M)
    speaker, microphone = (rng.uniform(_TO_WALL_M, size - _TO_WALL_M) for _ in range(2))
    low, high = rt60_s
    seconds = max(rng.uniform(low, high), _shortest(size))
    absorption, order = pyroomacoustics.inverse_sabine(seconds, size)
    walls = pyroomacoustics.Material(absorption)
    room = pyroomacoustics.ShoeBox(size, sample_rate_hz, materials=walls, max_order=min(order, _MOST_REFLECTIONS))
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    return torch.from_numpy(np.asarray(room.rir[0][0], dtype=np.float32))


def _shortest(size_m: np.ndarray) -> float:
    """Return the RT60 of a room whose walls reflect nearly nothing, seconds, by Sabine's formula."""
    surface = 2 * float(size_m[0] * size_m[1] + size_m[1] * size_m[2] + size_m[0] * size_m[2])
    return 0.17 * float(np.prod(size_m)) / surface
