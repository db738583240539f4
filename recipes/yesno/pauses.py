"""Where one word ends and the next begins in a file whose number of words is known, by energy alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_FRAMES_PER_S = 100
_SHORTEST, _LONGEST = 40, 90  # frames from one boundary to the next; the words come every 0.55 s
_SMOOTHED = 9  # frames
_CUT_WEIGHT = 10.0  # the energy at a boundary counts as that of so many frames


def find_boundaries(wav: Tensor, sample_rate_hz: int, num_words: int) -> list[float]:
    """Return where the first word begins, where each next one does, and where the last one ends, seconds.

    Of all sequences of boundaries at plausible distances, the one with the most energy between the first and the last
    and the least at the boundaries themselves, found by dynamic programming.

    Args:
        wav: (N,) samples.
        sample_rate_hz: its rate.
        num_words: how many words are spoken, >= 2.

    Raises:
        ValueError: fewer than two words, or the file is too short for so many.
    """
    energy = _log_energy(wav, sample_rate_hz)
    if num_words < 2 or len(energy) < num_words * _SHORTEST:
        raise ValueError(f"no room for {num_words} words in {len(energy) / _FRAMES_PER_S:.2f} s")
    energy = torch.cat([energy, energy[-1:]])  # a boundary may be at the end
    inside = (energy - energy.median()).cumsum(0)
    best, origins = -_CUT_WEIGHT * energy, []
    for _ in range(num_words):
        padded = functional.pad(best - inside, (_LONGEST, 0), value=-math.inf)
        value, place = padded.unfold(0, _LONGEST - _SHORTEST + 1, 1)[: len(energy)].max(-1)
        origins.append(torch.arange(len(energy)) - _LONGEST + place)
        best = value + inside - _CUT_WEIGHT * energy
    boundaries = [int(best.argmax())]
    for origin in reversed(origins):
        boundaries.append(int(origin[boundaries[-1]]))
    return [boundary / _FRAMES_PER_S for boundary in reversed(boundaries)]


def _log_energy(wav: Tensor, sample_rate_hz: int) -> Tensor:
    """Return (T,) smoothed energy of frames of 10 ms, natural logarithm."""
    size = sample_rate_hz // _FRAMES_PER_S
    frames = wav[: len(wav) // size * size].view(-1, size)
    log_energy = frames.square().mean(-1).add(1e-10).log()
    ones = torch.ones(1, 1, _SMOOTHED) / _SMOOTHED
    return functional.conv1d(log_energy.view(1, 1, -1), ones, padding=_SMOOTHED // 2).view(-1)
