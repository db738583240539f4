"""Logarithmic mel filter energies, as Kaldi's ``compute-fbank-feats`` computes them."""

from __future__ import annotations

from dataclasses import asdict

from torch import Tensor
from torchaudio.compliance import kaldi

from asr_ligru.config import FeaturesConfig
from asr_ligru.features.framing import VTLN_HIGH_OFFSET_HZ, VTLN_LOW_HZ
from asr_ligru.features.kaldi_options import KaldiOptions

_FULL_SCALE = 32768.0  # Kaldi reads 16-bit samples as they are


_RECIPES = KaldiOptions()


def fbank(wav: Tensor, config: FeaturesConfig, options: KaldiOptions = _RECIPES) -> Tensor:
    """Compute log mel filter energies (natural log, no dither; by default no energy column and the Povey window).

    Args:
        wav: (N,) floating point in [-1, 1], at least one window long.
        config: sample rate, frames, filters and VTLN warp.
        options: what else Kaldi lets one choose.

    Returns:
        (T, num_bins) of the type of ``wav``, not normalised; one column more with ``options.use_energy``.

    Source: Kaldi, src/feat/feature-fbank.cc, through torchaudio's ``compliance.kaldi``.
    """
    others = asdict(options)
    del others["cepstral_lifter"]
    feats: Tensor = kaldi.fbank(
        wav[None] * _FULL_SCALE,
        dither=0.0,
        frame_length=config.frame_length_ms,
        frame_shift=config.frame_shift_ms,
        high_freq=config.high_freq_hz,
        low_freq=config.low_freq_hz,
        num_mel_bins=config.num_bins,
        sample_frequency=float(config.sample_rate_hz),
        vtln_high=VTLN_HIGH_OFFSET_HZ,
        vtln_low=VTLN_LOW_HZ,
        vtln_warp=config.vtln_warp,
        **others,
    )
    return feats
