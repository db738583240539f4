"""Noise added to speech, and its volume."""

from __future__ import annotations

import torch
from torch import Tensor
from torchaudio.functional import add_noise

_SILENT_POWER = 1e-12  # -120 dB of full scale: less than any recording, more than what a conversion of rates leaves


def is_silent(wav: Tensor) -> bool:
    """Say whether there is nothing in samples (N,): converted from another rate, silence is not quite zero."""
    return len(wav) == 0 or float(wav.square().mean()) < _SILENT_POWER


def with_noise(wav: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Add noise.

    Args:
        wav: (N,) float32.
        noise: (N,) float32; where it is silent nothing is added.
        snr_db: power of ``wav`` over that of the noise in it, both over the whole length.

    Returns:
        (N,) float32, made quieter where it would exceed full scale.
    """
    if is_silent(noise):
        return wav
    noisy: Tensor = add_noise(wav, noise, torch.tensor(snr_db))
    return noisy / max(1.0, float(noisy.abs().max()))


def with_gain(wav: Tensor, gain_db: float) -> Tensor:
    """Return ``wav`` (N,) louder or quieter; what exceeds full scale is clipped, as a recorder would."""
    return (wav * 10 ** (gain_db / 20)).clamp(-1.0, 1.0)
