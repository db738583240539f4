"""From a wav to raw features: what can be computed once for each recording and kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import DataError
from asr_ligru.features.fbank import fbank
from asr_ligru.features.framing import Framing, TooShortError, check
from asr_ligru.features.mfcc import mfcc
from asr_ligru.registry import Registry

_CHUNK_FRAMES = 200  # computed at a time: what fits a core's cache is several times faster than a minute at once
_LEAST = 2.0**-15  # the smallest step of 16-bit samples, and Kaldi's default dither


class Kind(NamedTuple):
    """One kind of features: how to compute them and how many there are in a frame."""

    compute: Callable[[Tensor, FeaturesConfig], Tensor]
    size: Callable[[FeaturesConfig], int]


FEATURES: Registry[Kind] = Registry("features")
FEATURES.register("fbank")(Kind(fbank, lambda config: config.num_bins))
FEATURES.register("mfcc")(Kind(mfcc, lambda config: config.num_ceps))
FEATURES.register("fmllr")(Kind(mfcc, lambda config: config.num_ceps))  # adapted after the cache, by hmm.frontend


class FeatureExtractor:
    """Compute raw features: filter energies or cepstra before normalisation, differences and splicing.

    A frame of digital silence, as editors and codecs make it, has no spectrum: its logarithm lies as far below a quiet
    room as that below speech, and the mean of two such seconds makes everything else unreadable. It has the features of
    the faintest noise instead. Kaldi avoids this by adding such noise to all samples, which makes results random.

    Args:
        config: the features.

    Attributes:
        raw_size: features in a frame.

    Raises:
        ConfigError: no features can be computed with these settings.
    """

    def __init__(self, config: FeaturesConfig) -> None:
        self.raw_size = FEATURES[config.name].size(config)
        check(config)
        self._config = config
        self._framing = Framing.of(config)

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames a wav of ``num_samples`` gives; 0 if it is too short."""
        return self._framing.num_frames(num_samples)

    def __call__(self, wav: Tensor) -> Tensor:
        """Compute the raw features of one utterance.

        Args:
            wav: (N,) float32 in [-1, 1] at the configured sample rate.

        Returns:
            (T, raw_size) float32, T = ``num_frames(N)``.

        Raises:
            TooShortError: less than one window.
            DataError: not one channel, or samples that are not finite.
        """
        if wav.dim() != 1 or not wav.is_floating_point():
            raise DataError(f"expected a wav of shape (N,), float32; got shape {tuple(wav.shape)}, {wav.dtype}")
        frames, window = self.num_frames(len(wav)), self._framing.window
        if frames == 0:
            raise TooShortError(
                f"too short: {len(wav)} samples, expected at least one window of {window} (features.frame_length_ms)",
                fix="leave the utterance out",
            )
        pieces = [
            self._piece(wav, first, min(_CHUNK_FRAMES, frames - first)) for first in range(0, frames, _CHUNK_FRAMES)
        ]
        feats = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        if not bool(feats.isfinite().all()):
            raise DataError("the wav has samples that are not finite", fix="record or convert the file again")
        return feats

    def _piece(self, wav: Tensor, first: int, count: int) -> Tensor:
        start = first * self._framing.shift
        samples = wav[start : start + (count - 1) * self._framing.shift + self._framing.window].float()
        windows = samples.unfold(0, self._framing.window, self._framing.shift)
        silent = windows.amax(dim=1) - windows.amin(dim=1) < _LEAST
        feats = self._compute(samples)
        return torch.where(silent[:, None], self._of_silence, feats) if bool(silent.any()) else feats

    def _compute(self, samples: Tensor) -> Tensor:
        return FEATURES[self._config.name].compute(samples, self._config)

    @cached_property
    def _of_silence(self) -> Tensor:
        noise = torch.randn(_CHUNK_FRAMES * self._framing.window, generator=torch.Generator().manual_seed(0))
        return self._compute(_LEAST * noise).mean(dim=0)
