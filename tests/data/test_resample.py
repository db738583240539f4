"""Resampling block by block gives what torchaudio gives of the whole."""

from __future__ import annotations

import pytest
import torch
import torchaudio.functional

from asr_ligru.data.resample import Resampler, resampled
from asr_ligru.errors import DataError

RATES = [(16000, 8000), (8000, 16000), (44100, 16000), (11025, 16000), (48000, 16000), (16000, 16000)]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("block", [333, 7001])
def test_resampler_of_blocks_equals_torchaudio_of_the_whole(from_hz: int, to_hz: int, block: int) -> None:
    wav = 0.1 * torch.randn(2, 20_011, generator=torch.Generator().manual_seed(0))
    blocks = wav.split(block, dim=1)
    resampler = Resampler(from_hz, to_hz, "x.wav")
    parts = [resampler.feed(part, last=number == len(blocks) - 1) for number, part in enumerate(blocks)]
    assert torch.equal(torch.cat(parts, dim=1), torchaudio.functional.resample(wav, from_hz, to_hz))


def test_resampler_gives_what_is_known_at_once() -> None:
    resampler = Resampler(16000, 8000, "x.wav")
    first = resampler.feed(torch.zeros(1, 16000))
    assert 7900 < first.shape[1] < 8000


def test_resampled_between_unrelated_rates_is_refused() -> None:
    with pytest.raises(DataError, match="common factor"):
        resampled(torch.zeros(100), 44101, 16000, "x.wav")
