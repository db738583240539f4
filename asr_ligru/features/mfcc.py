"""Mel-frequency cepstral coefficients, as Kaldi's ``compute-mfcc-feats --use-energy=false`` computes them."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.features.fbank import fbank

_LIFTER = 22.0  # Kaldi's default


def mfcc(wav: Tensor, config: FeaturesConfig) -> Tensor:
    """Compute liftered cepstra of the log mel filter energies; the first one is C0, not the energy.

    Args:
        wav: (N,) float32 in [-1, 1], at least one window long.
        config: as for ``fbank``, and ``num_ceps`` <= ``num_bins``.

    Returns:
        (T, num_ceps) float32, not normalised.

    Source: Kaldi, src/feat/feature-mfcc.cc. Computed in float64, because the lifter magnifies rounding up to twelve
        times. torchaudio's own ``mfcc`` takes the cosines of large angles in float32: up to 1e-3 off.
    """
    return (fbank(wav.double(), config) @ _cosines(config.num_bins, config.num_ceps)).float()


@lru_cache(maxsize=16)
def _cosines(num_bins: int, num_ceps: int) -> Tensor:
    """Return the orthonormal DCT-II times the lifter, (num_bins, num_ceps) float64."""
    k = torch.arange(num_ceps, dtype=torch.float64)
    n = torch.arange(num_bins, dtype=torch.float64)[:, None]
    dct = math.sqrt(2 / num_bins) * torch.cos(math.pi / num_bins * (n + 0.5) * k)
    dct[:, 0] = math.sqrt(1 / num_bins)
    lifter = 1 + 0.5 * _LIFTER * torch.sin(math.pi * k / _LIFTER)
    return dct * lifter
