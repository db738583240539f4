"""Mel-frequency cepstral coefficients, as Kaldi's ``compute-mfcc-feats --use-energy=false`` computes them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.features.fbank import fbank
from asr_ligru.features.kaldi_options import KaldiOptions

_RECIPES = KaldiOptions()


def mfcc(wav: Tensor, config: FeaturesConfig, options: KaldiOptions = _RECIPES) -> Tensor:
    """Compute liftered cepstra of the log mel filter energies; by default the first one is C0, not the energy.

    Args:
        wav: (N,) float32 in [-1, 1], at least one window long.
        config: as for ``fbank``, and ``num_ceps`` <= ``num_bins``.
        options: what else Kaldi lets one choose.

    Returns:
        (T, num_ceps) float32, not normalised.

    Source: Kaldi, src/feat/feature-mfcc.cc. Computed in float64, because the lifter magnifies rounding up to twelve
        times. torchaudio's own ``mfcc`` takes the cosines of large angles in float32: up to 1e-3 off.
    """
    energies = fbank(wav.double(), config, replace(options, htk_compat=False))  # the log energy, if any, is first
    cepstra = energies[:, -config.num_bins :] @ _cosines(config.num_bins, config.num_ceps, options.cepstral_lifter)
    if options.use_energy:
        cepstra[:, 0] = energies[:, 0]
    elif options.htk_compat:
        cepstra[:, 0] *= math.sqrt(2)
    return (cepstra.roll(-1, 1) if options.htk_compat else cepstra).float()


@lru_cache(maxsize=16)
def _cosines(num_bins: int, num_ceps: int, lifter: float) -> Tensor:
    """Return the orthonormal DCT-II times the lifter, (num_bins, num_ceps) float64."""
    k = torch.arange(num_ceps, dtype=torch.float64)
    n = torch.arange(num_bins, dtype=torch.float64)[:, None]
    dct = math.sqrt(2 / num_bins) * torch.cos(math.pi / num_bins * (n + 0.5) * k)
    dct[:, 0] = math.sqrt(1 / num_bins)
    return dct * (1 + 0.5 * lifter * torch.sin(math.pi * k / lifter)) if lifter else dct
