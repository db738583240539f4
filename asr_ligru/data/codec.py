"""What codecs and the telephone leave of speech."""

from __future__ import annotations

import io
from typing import NamedTuple

import soundfile
import torch
from torch import Tensor
from torch.nn.functional import pad

from asr_ligru.data.resample import resampled

TELEPHONE_HZ = 8000
_STEEP = 64


class Codec(NamedTuple):
    """A codec of libsndfile: container, coding, the rates it is made for (none: any) and whether it has levels."""

    container: str
    coding: str
    rates_hz: tuple[int, ...]
    has_levels: bool


CODECS = {
    "mp3": Codec("MP3", "MPEG_LAYER_III", (16000, 8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000), True),
    "vorbis": Codec("OGG", "VORBIS", (), True),
    "opus": Codec("OGG", "OPUS", (16000, 8000, 12000, 24000, 48000), True),
    "mulaw": Codec("WAV", "ULAW", (), False),
    "gsm": Codec("WAV", "GSM610", (8000,), False),
}


def coded(wav: Tensor, sample_rate_hz: int, name: str, level: float = 0.5) -> Tensor:
    """Return what is left of a recording after it was compressed and read again, each sound where it was.

    Args:
        wav: (N,) float32 in [-1, 1].
        sample_rate_hz: its rate; a codec that is not made for it is used at the first rate it is made for.
        name: one of ``CODECS``.
        level: how hard to compress, from 0 to 0.99; mu-law and GSM have one level only.

    Returns:
        (N,) float32.
    """
    codec, buffer = CODECS[name], io.BytesIO()
    rate = sample_rate_hz if not codec.rates_hz or sample_rate_hz in codec.rates_hz else codec.rates_hz[0]
    samples = resampled(wav, sample_rate_hz, rate, name).numpy()
    settings = {"compression_level": level} if codec.has_levels else {}
    soundfile.write(buffer, samples, rate, format=codec.container, subtype=codec.coding, **settings)
    buffer.seek(0)
    heard = torch.from_numpy(soundfile.read(buffer, dtype="float32")[0])
    return _fitted(resampled(heard, rate, sample_rate_hz, name), len(wav))


def telephoned(wav: Tensor, sample_rate_hz: int) -> Tensor:
    """Return ``wav`` (N,) as it comes out of a telephone: 8 kHz, 8 bits by mu-law (ITU-T G.711)."""
    narrow = resampled(wav, sample_rate_hz, TELEPHONE_HZ, "telephone", _STEEP)
    heard = resampled(coded(narrow, TELEPHONE_HZ, "mulaw"), TELEPHONE_HZ, sample_rate_hz, "telephone", _STEEP)
    return _fitted(heard, len(wav))


def _fitted(wav: Tensor, length: int) -> Tensor:
    return pad(wav, (0, max(0, length - len(wav))))[:length]
