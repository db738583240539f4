"""Audio that is still being recorded: samples from a pipe as soon as they come."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
import torch
from torch import Tensor

from asr_ligru.data.resample import Resampler
from asr_ligru.errors import DataError

_WHERE = "standard input"
BLOCK_S = 0.1


def live_blocks(file: BinaryIO, *, sample_rate_hz: int, raw_rate_hz: int | None = None) -> Iterator[Tensor]:
    """Read 16-bit audio as it comes in.

    Args:
        file: a WAV stream, such as ``arecord`` writes, or samples without a header; need not be seekable.
        sample_rate_hz: of the result.
        raw_rate_hz: None for WAV; else the rate of mono samples without a header, low byte first.

    Yields:
        (n,) float32 in [-1, 1], some 0.1 s each, channels averaged; joined, they are the resampled whole.

    Raises:
        DataError: another format, nothing in it, or it ends within a sample.
    """
    rate_hz, channels, samples = _opened(file, raw_rate_hz)
    resampler = Resampler(rate_hz, sample_rate_hz, _WHERE)
    size = 2 * channels * max(1, round(BLOCK_S * rate_hz))
    heard = False
    while data := samples.read(size):
        if len(data) % (2 * channels):
            raise DataError("it ends within a sample; 16-bit samples are expected", where=_WHERE)
        heard = True
        block = np.frombuffer(data, "<i2").reshape(-1, channels).astype(np.float32).mean(axis=1) / 32768
        yield resampler.feed(torch.from_numpy(block)[None])[0]
    if not heard:
        raise DataError("no samples", where=_WHERE, fix="is the microphone recording?")
    yield resampler.feed(torch.zeros(1, 0), last=True)[0]


def _opened(file: BinaryIO, raw_rate_hz: int | None) -> tuple[int, int, BinaryIO]:
    """Return rate, channels and the stream of samples."""
    if raw_rate_hz is not None:
        return raw_rate_hz, 1, file
    try:
        opened = wave.open(cast(io.BufferedReader, file), "rb")  # noqa: SIM115  (the stream is the caller's)
    except (wave.Error, EOFError, ValueError) as error:
        raise DataError(
            f"not a 16-bit WAV stream: {str(error) or 'it ends too soon'}",
            where=_WHERE,
            fix="pipe WAV into it, or name the rate of samples without a header: --raw-rate 16000",
        ) from error
    if opened.getsampwidth() != 2:
        raise DataError(
            f"{8 * opened.getsampwidth()} bits a sample, expected 16", where=_WHERE, fix="arecord -f S16_LE"
        )
    return opened.getframerate(), opened.getnchannels(), cast(BinaryIO, _Samples(opened))


class _Samples:
    """The samples of an opened WAV stream, read by bytes."""

    def __init__(self, opened: wave.Wave_read) -> None:
        self._opened = opened
        self._frame_bytes = 2 * opened.getnchannels()

    def read(self, size: int) -> bytes:
        return self._opened.readframes(size // self._frame_bytes)
