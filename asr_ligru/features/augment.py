"""Random changes to training data, each a function of (seed, epoch, utterance) and of nothing else.

So neither the order of the utterances, nor the number of workers, nor an interruption changes what is drawn.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchaudio.transforms import Resample

from asr_ligru.config import AugmentConfig
from asr_ligru.errors import ConfigError

SPEED_RANGE = (0.5, 2.0)
_LARGEST_DENOMINATOR = 100  # speeds are taken to 1 %; finer ratios would need very long filters


def generator(seed: int, epoch: int, utt_id: str, purpose: str = "") -> np.random.Generator:
    """Return the random numbers that belong to one utterance in one epoch.

    Args:
        seed: of the run.
        epoch: the epoch.
        utt_id: the utterance, or a name for what is not about one utterance.
        purpose: tells apart what is drawn at different places, such as "speed".
    """
    digest = hashlib.sha256(f"{seed}\0{epoch}\0{purpose}\0{utt_id}".encode("utf-8", "surrogatepass")).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def draw_speed(config: AugmentConfig, rng: np.random.Generator) -> float:
    """Draw one of ``config.speed``, each as likely; 1.0 when there is none.

    Raises:
        ConfigError: a speed outside [0.5, 2].
    """
    low, high = SPEED_RANGE
    if any(not low <= speed <= high for speed in config.speed):
        raise ConfigError(f"train.augment.speed: expected values from {low} to {high}, got {list(config.speed)}")
    return config.speed[rng.integers(len(config.speed))] if config.speed else 1.0


def speed_samples(num_samples: int, speed: float) -> int:
    """Return how many samples ``change_speed`` makes of ``num_samples``."""
    ratio = _ratio(speed)
    return -(-num_samples * ratio.denominator // ratio.numerator)


def change_speed(wav: Tensor, speed: float) -> Tensor:
    """Play a recording faster or slower, which changes its tempo and its pitch.

    Args:
        wav: (N,) float32.
        speed: > 1 is faster and shorter; taken to the nearest fraction with a denominator of at most 100.

    Returns:
        (ceil(N / speed),) float32; ``wav`` itself at speed 1.

    Source: Ko, Peddinti, Povey and Khudanpur, "Audio augmentation for speech recognition", 2015, section 2.1.
    """
    ratio = _ratio(speed)
    if ratio == 1:
        return wav
    # A period of silence more, because torchaudio computes the length in float32 and may be a sample short.
    padded = torch.nn.functional.pad(wav, (0, ratio.numerator))
    faster: Tensor = _resampler(ratio.numerator, ratio.denominator)(padded)
    return faster[: speed_samples(len(wav), speed)].contiguous()


def _ratio(speed: float) -> Fraction:
    return Fraction(speed).limit_denominator(_LARGEST_DENOMINATOR)


@lru_cache(maxsize=16)
def _resampler(from_rate: int, to_rate: int) -> Resample:
    return Resample(from_rate, to_rate)


def spec_augment(
    feats: Tensor, config: AugmentConfig, rng: np.random.Generator, *, num_bins: int | None = None
) -> Tensor:
    """Replace random stretches of time and bands of frequency by the utterance's mean.

    Args:
        feats: (T, F) normalised features; after CMVN their mean is 0.
        config: how many masks and their largest widths; the widths are uniform from 0 on.
        rng: from ``generator``.
        num_bins: features before differences and splicing (``Frontend.inner_size``), where F is a multiple of it: a
            band is masked in each of the repetitions. F when omitted.

    Returns:
        (T, F); ``feats`` itself is left as it was.

    Source: Park et al., "SpecAugment", 2019, section 2, without time warping. We fill with the mean of each feature.
    """
    T, F = feats.shape
    masked = feats.clone()
    mean = feats.mean(0)
    longest = min(config.time_mask_frames, int(config.time_mask_fraction * T))
    for _ in range(config.time_masks):
        start, end = _stretch(rng, longest, T)
        masked[start:end] = mean
    bins = num_bins or F
    blocks, mean = masked.view(T, F // bins, bins), mean.view(F // bins, bins)
    widest = min(config.freq_mask_bins, int(config.freq_mask_fraction * bins))
    for _ in range(config.freq_masks):
        start, end = _stretch(rng, widest, bins)
        blocks[:, :, start:end] = mean[:, start:end]
    return masked


def _stretch(rng: np.random.Generator, longest: int, total: int) -> tuple[int, int]:
    """Draw a stretch of at most ``longest`` inside [0, total)."""
    length = int(rng.integers(longest + 1))
    start = int(rng.integers(total - length + 1))
    return start, start + length
