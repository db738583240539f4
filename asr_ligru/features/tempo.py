"""Speech spoken faster or slower with the pitch it had."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchaudio.functional import phase_vocoder

_WINDOW_S = 0.032
_OVERLAP = 4  # windows over each sample: with fewer the phases between them are guessed badly


def tempo_samples(num_samples: int, tempo: float) -> int:
    """Return how many samples ``change_tempo`` makes of ``num_samples``."""
    return max(1, math.ceil(num_samples / tempo))


def change_tempo(wav: Tensor, tempo: float, sample_rate_hz: int) -> Tensor:
    """Play a recording faster or slower without changing its pitch.

    What is heard at n samples is heard at n / tempo afterwards.

    Args:
        wav: (N,) float32.
        tempo: > 1 is faster and shorter.
        sample_rate_hz: of ``wav``.

    Returns:
        (ceil(N / tempo),) float32; ``wav`` itself at tempo 1.

    Source: Flanagan and Golden, "Phase vocoder", 1966, as torchaudio implements it.
    """
    if tempo == 1:
        return wav
    hop = 2 ** math.ceil(math.log2(_WINDOW_S * sample_rate_hz)) // _OVERLAP
    size = hop * _OVERLAP
    window = torch.hann_window(size)
    spectrum = torch.stft(wav, size, hop, window=window, pad_mode="constant", return_complex=True)
    advance = torch.linspace(0, math.pi * hop, size // 2 + 1)[:, None]  # of each bin's phase in a hop
    length = tempo_samples(len(wav), tempo)
    return torch.istft(phase_vocoder(spectrum, tempo, advance), size, hop, window=window, length=length)
