"""Reading and writing audio as a whole.

Every other module gets ``wav``: a float32 mono tensor in [-1, 1] at the rate it asked for, or a ``DataError``
that says why not. Nothing is padded, reinterpreted or mixed down without being asked for. Long recordings come in
blocks from ``data.audio_blocks``.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor

from asr_ligru.data import containers
from asr_ligru.data.audio_file import (
    END_TOLERANCE_S,
    MEDIA,
    WEAK,
    AudioInfo,
    Samples,
    TruncatedError,
    checked,
    container_of,
    info_of,
    media_blocks,
    mixed,
    regular,
    sound,
    sound_blocks,
    span,
)
from asr_ligru.data.resample import resampled
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.safety import atomic_write

__all__ = ["END_TOLERANCE_S", "AudioInfo", "TruncatedError", "encoded", "probe", "read", "read_raw", "write"]

_PCM16 = {"little": "<i2", "big": ">i2"}


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Read the header of an audio file.

    Args:
        path: a regular file in a format that libsndfile reads, or PyAV where it is installed.

    Raises:
        DataError: no such file, not a regular file, not audio, truncated, or an impossible header.
        EnvironmentError_: the format needs the ``media`` extra.
    """
    path = Path(path)
    with _opened(path) as (file, container):
        if container in MEDIA:
            return _decode_media(file, path, math.inf, keep=False)[0]
        with sound(file, path) as opened:
            return info_of(opened, path)


def read(
    path: str | os.PathLike[str],
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    sample_rate_hz: int | None = None,
    resample: bool = False,
    channel: str = "error",
    max_seconds: float | None = None,
    part: tuple[int, int] | None = None,
) -> Tensor:
    """Read one stretch of an audio file.

    Args:
        path: a regular audio file.
        offset_s: where to begin, seconds, >= 0.
        duration_s: how much to read, seconds, > 0; None for all that follows.
        sample_rate_hz: the rate the result must have; None takes the file's.
        resample: convert another rate instead of refusing it.
        channel: "error" refuses files with several channels, "mix" averages them, "0", "1", ... picks one.
        max_seconds: refuse a longer stretch before any memory is allocated for it.
        part: first byte and number of bytes of the audio, where the file is an archive that holds it uncompressed.

    Returns:
        (N,) float32, N >= 1. Samples of float and lossy formats that exceed full scale are limited to [-1, 1]; of
        MP3 up to 2304 samples fewer than ``probe`` estimates may come.

    Raises:
        DataError: unreadable, truncated, empty, NaN or Inf, several channels, another rate, too long, or the
            stretch lies outside the file.
        ConfigError: ``channel`` is no known choice.
        EnvironmentError_: the format needs the ``media`` extra.
    """
    path = Path(path)
    with _opened(path, part) as (file, container):
        if container in MEDIA:
            info, blocks = _decode_media(file, path, math.inf if max_seconds is None else max_seconds, channel)
            start, count = span(info, path, offset_s, duration_s, max_seconds)
            _check_rate(info, path, sample_rate_hz, resample)
            samples = np.concatenate(blocks)[start : start + count]
        else:
            with sound(file, path) as opened:
                info = info_of(opened, path)
                start, count = span(info, path, offset_s, duration_s, max_seconds)
                _check_rate(info, path, sample_rate_hz, resample)
                parts = (_one_channel(block, channel, path) for block in sound_blocks(opened, path, start, count))
                samples = np.concatenate(list(parts))
    wav = torch.from_numpy(checked(samples, path))
    if sample_rate_hz is None or sample_rate_hz == info.sample_rate_hz:
        return wav
    return resampled(wav, info.sample_rate_hz, sample_rate_hz, path)


def read_raw(path: str | os.PathLike[str], sample_rate_hz: int) -> tuple[Tensor, str]:
    """Read a headerless file of 16-bit mono samples, finding out their byte order.

    Speech read in the wrong byte order is close to white noise, so the order with the smaller differences
    between neighbouring samples is the right one.

    Args:
        path: the file; CMU publishes AN4 in both byte orders.
        sample_rate_hz: its rate, which nothing in the file says.

    Returns:
        The (N,) float32 wav, and "little" or "big".

    Raises:
        DataError: not a regular file, empty, an odd number of bytes, or a file with a header after all.
    """
    path = Path(path)
    with regular(path) as file:
        data = file.read()
    has_header = containers.identify(data[: containers.HEAD_BYTES]) not in ("", *WEAK)
    if not data or len(data) % 2 or has_header:
        found = "it is empty" if not data else "it has a header" if has_header else "an odd number of bytes"
        raise DataError(f"expected headerless 16-bit samples, but {found}", where=str(path))
    orders = {order: np.frombuffer(data, code).astype(np.float32) / 32768 for order, code in _PCM16.items()}
    order = min(orders, key=lambda name: float(np.abs(np.diff(orders[name])).sum()))
    return torch.from_numpy(orders[order]), order


def write(path: str | os.PathLike[str], wav: Tensor, sample_rate_hz: int) -> None:
    """Write 16-bit mono WAV or FLAC (by suffix), as a whole or not at all.

    Args:
        path: ends in ``.wav`` or ``.flac``.
        wav: (N,) samples in [-1, 1].
        sample_rate_hz: their rate.
    """
    path = Path(path)
    atomic_write(path, encoded(wav, sample_rate_hz, path.suffix[1:]))


def encoded(wav: Tensor, sample_rate_hz: int, kind: str = "flac") -> bytes:
    """Return the content of a 16-bit mono file, "wav" or "flac", that holds ``wav`` (N,)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wav.numpy(), sample_rate_hz, subtype="PCM_16", format=kind.upper())
    return buffer.getvalue()


@contextmanager
def _opened(path: Path, part: tuple[int, int] | None = None) -> Iterator[tuple[BinaryIO, str]]:
    with regular(path) as file:
        if part is None:
            yield file, container_of(file, path)
            return
        file.seek(part[0])
        data = file.read(part[1])
    if len(data) < part[1]:
        what = f"truncated: expected {part[1]} bytes from byte {part[0]} on, {len(data)} are there"
        raise TruncatedError(what, where=str(path), fix="fetch or make the archive again")
    with io.BytesIO(data) as member:
        yield member, container_of(member, path)


def _check_rate(info: AudioInfo, path: Path, sample_rate_hz: int | None, resample: bool) -> None:
    if sample_rate_hz is not None and sample_rate_hz != info.sample_rate_hz and not resample:
        what = f"sample rate {info.sample_rate_hz} Hz, expected {sample_rate_hz} Hz (features.sample_rate_hz)"
        raise DataError(what, where=str(path), fix="set corpus.resample=true, or features.sample_rate_hz to its rate")


def _one_channel(samples: Samples, channel: str, path: Path) -> Samples:
    channels = samples.shape[1]
    if channel == "mix":
        return mixed(samples)
    if channel == "error" and channels > 1:
        what = f"{channels} channels, expected 1"
        raise DataError(what, where=str(path), fix="set corpus.channel to 0, 1, ... or mix")
    if channel != "error" and not channel.isdecimal():
        raise ConfigError(f"unknown channel {channel!r}", where="corpus.channel", fix="error, mix, 0, 1, ...")
    index = 0 if channel == "error" else int(channel)
    if index >= channels:
        raise DataError(f"channel {index} asked for, it has {channels}", where=str(path), fix="set corpus.channel=0")
    return np.ascontiguousarray(samples[:, index])


def _decode_media(
    file: BinaryIO, path: Path, max_seconds: float, channel: str = "mix", keep: bool = True
) -> tuple[AudioInfo, list[Samples]]:
    """Decode the first audio stream of a container that PyAV reads; the samples (n,) are kept where they are wanted."""
    blocks: list[Samples] = []
    rate_hz = channels = count = 0
    for rate_hz, block in media_blocks(file, path):
        blocks += [_one_channel(block, channel, path)] if keep else []
        channels, count = block.shape[1], count + len(block)
        if count > max_seconds * rate_hz:
            what = f"longer than {max_seconds:g} s, which is all that is allowed (corpus.max_seconds)"
            raise DataError(what, where=str(path), fix="cut it into pieces or raise corpus.max_seconds")
    if not count:
        raise DataError("no samples", where=str(path), fix="leave the file out or record it again")
    return AudioInfo(rate_hz, channels, count), blocks
