from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import Tensor
from torchaudio.functional import speed as torchaudio_speed

from asr_ligru.config import AugmentConfig
from asr_ligru.errors import ConfigError
from asr_ligru.features.augment import change_speed, draw_speed, generator, spec_augment, speed_samples

SPEEDS = AugmentConfig(speed=(0.9, 1.0, 1.1))
PINNED = [816, 117, 532, 52]
MASKS = AugmentConfig(time_masks=2, time_mask_frames=20, time_mask_fraction=0.2, freq_masks=2, freq_mask_bins=8)


def feats_of(frames: int, size: int = 40) -> Tensor:
    return torch.randn(frames, size, generator=torch.Generator().manual_seed(frames))


def test_generator_numbers_are_the_same_in_every_process_and_release() -> None:
    assert generator(1, 2, "utt").integers(1000, size=4).tolist() == PINNED
    assert generator(1, 2, "utt", "speed").integers(1000, size=4).tolist() != PINNED


def test_generator_any_difference_gives_other_numbers() -> None:
    asked = [(1, 1, "a", ""), (2, 1, "a", ""), (1, 2, "a", ""), (1, 1, "b", ""), (1, 1, "a", "b"), (1, 11, "a", "")]
    drawn = [float(generator(*each).random()) for each in asked]
    assert len(set(drawn)) == len(asked)


def test_draw_speed_each_factor_is_as_likely() -> None:
    counts = Counter(draw_speed(SPEEDS, generator(1, epoch, "a", "speed")) for epoch in range(3000))
    assert counts.keys() == {0.9, 1.0, 1.1}
    assert all(abs(count - 1000) < 130 for count in counts.values())  # five standard deviations


def test_draw_speed_without_factors_is_one() -> None:
    assert draw_speed(AugmentConfig(), generator(1, 1, "a")) == 1.0


@pytest.mark.parametrize("speed", [0.0, 0.49, 2.01, -1.0, math.nan])
def test_draw_speed_factor_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(ConfigError, match=r"train\.augment\.speed"):
        draw_speed(AugmentConfig(speed=(1.0, speed)), generator(1, 1, "a"))


@pytest.mark.parametrize("samples", [1, 8, 9, 10, 11, 16000, 16001, 2_222_222])
@pytest.mark.parametrize("speed", [0.5, 0.9, 1.0, 1.1, 2.0, 0.95])
def test_change_speed_length_is_the_announced_one(speed: float, samples: int) -> None:
    changed = change_speed(torch.rand(samples), speed)
    assert len(changed) == speed_samples(samples, speed) == math.ceil(round(samples / speed, 6))


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_change_speed_equals_torchaudio(speed: float) -> None:
    wav = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(1))
    expected, _ = torchaudio_speed(wav, 16000, speed)
    torch.testing.assert_close(change_speed(wav, speed), expected, rtol=0, atol=1e-6)


def test_change_speed_tone_is_higher_by_the_factor() -> None:
    tone = torch.sin(2 * math.pi * 400 * torch.arange(16000) / 16000)
    faster = change_speed(tone, 1.1)
    peak_hz = int(torch.fft.rfft(faster).abs().argmax()) * 16000 / len(faster)
    assert abs(peak_hz - 440) < 1.1
    assert abs(float(faster[500:-500].abs().max()) - 1) < 0.01


def test_change_speed_one_changes_nothing() -> None:
    wav = torch.rand(100)
    assert change_speed(wav, 1.0) is wav


def test_spec_augment_same_generator_gives_the_same_masks() -> None:
    feats = feats_of(300)
    before = feats.clone()
    first, again, other = (spec_augment(feats, MASKS, generator(1, epoch, "a")) for epoch in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(feats, before)


def test_spec_augment_no_masks_changes_nothing() -> None:
    feats = feats_of(50)
    assert torch.equal(spec_augment(feats, AugmentConfig(), generator(1, 1, "a")), feats)


def masked(feats: Tensor, config: AugmentConfig, epoch: int) -> tuple[list[int], list[int]]:
    """Return the frames and the bins that are masked as a whole; all else must be untouched."""
    changed = spec_augment(feats, config, generator(1, epoch, "a"))
    hidden = changed == feats.mean(0)
    frames, bins = hidden.all(1), hidden.all(0)
    assert torch.equal(changed[~frames][:, ~bins], feats[~frames][:, ~bins])
    return frames.nonzero()[:, 0].tolist(), bins.nonzero()[:, 0].tolist()


def is_stretch(indices: list[int]) -> bool:
    return not indices or indices == list(range(indices[0], indices[-1] + 1))


def test_spec_augment_masks_are_stretches_within_their_limits() -> None:
    feats = feats_of(60)
    config = AugmentConfig(time_masks=1, time_mask_frames=20, time_mask_fraction=0.2, freq_masks=1, freq_mask_bins=8)
    found = [masked(feats, config, epoch) for epoch in range(600)]
    assert all(is_stretch(frames) and is_stretch(bins) for frames, bins in found)
    assert {len(frames) for frames, _ in found} == set(range(12 + 1))  # a fifth of 60 is less than 20
    assert {len(bins) for _, bins in found} == set(range(8 + 1))
    assert {index for frames, _ in found for index in frames} == set(range(60))
    assert {index for _, bins in found for index in bins} == set(range(40))


def test_spec_augment_of_few_cepstra_masks_at_most_a_fifth_of_them() -> None:
    config = AugmentConfig(freq_masks=1, freq_mask_bins=8, freq_mask_fraction=0.2)
    found = {len(masked(feats_of(60, 13), config, epoch)[1]) for epoch in range(100)}
    assert found == {0, 1, 2}


def test_spec_augment_repeated_bins_are_masked_together() -> None:
    feats = feats_of(60, 120)
    config = AugmentConfig(freq_masks=1, freq_mask_bins=8)
    for epoch in range(20):
        changed = spec_augment(feats, config, generator(1, epoch, "a"), num_bins=40)
        bins = (changed == feats.mean(0)).all(0).view(3, 40)
        assert torch.equal(bins[0], bins[1])
        assert torch.equal(bins[0], bins[2])
        assert bins[0].sum() <= 8


@pytest.mark.parametrize(("frames", "size"), [(1, 40), (2, 3), (5, 1)])
def test_spec_augment_utterance_smaller_than_the_masks_stays_finite(frames: int, size: int) -> None:
    config = AugmentConfig(time_masks=5, time_mask_fraction=1.0, freq_masks=5, freq_mask_fraction=1.0)
    for epoch in range(20):
        changed = spec_augment(feats_of(frames, size), config, generator(1, epoch, "a"))
        assert changed.shape == (frames, size)
        assert changed.isfinite().all()
