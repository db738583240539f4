"""Recordings of any length, block by block, in memory that does not grow with them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from torch import Tensor

from asr_ligru.data import containers
from asr_ligru.data.audio_file import (
    END_TOLERANCE_S,
    MEDIA,
    WEAK,
    Samples,
    TruncatedError,
    Where,
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
from asr_ligru.data.resample import Resampler
from asr_ligru.errors import ConfigError, DataError

Source = str | os.PathLike[str] | BinaryIO

_MAYBE_RAW = ("", ".raw", ".pcm", ".s16")  # suffixes; standard input has none
_RAW_BYTES = 1 << 20  # of headerless samples read at a time
_BLOCK_S = 4.0  # shorter blocks are joined
_MAX_S = 7 * 86400.0  # what claims to be longer than a week is no recording


def name_of(source: Source) -> str:
    """Return how messages name what is read."""
    return "standard input" if hasattr(source, "read") else os.fspath(cast(str, source))


def read_blocks(
    source: Source,
    *,
    sample_rate_hz: int,
    channel: str = "mix",
    raw_rate_hz: int | None = None,
    offset_s: float = 0.0,
    duration_s: float | None = None,
) -> Iterator[Tensor]:
    """Read a recording at the rate that is asked for, whatever its own.

    Args:
        source: a regular audio file, or an open binary stream, which is copied to a temporary file first.
        sample_rate_hz: of the result.
        channel: "mix" averages the channels, "0", "1", ... picks one, "split" keeps all.
        raw_rate_hz: the rate of what has no header and holds 16-bit mono samples, low byte first; None refuses it.
        offset_s: where to begin, seconds, >= 0.
        duration_s: how much to read, seconds, > 0; None for all that follows.

    Yields:
        Blocks (C, n) float32 in [-1, 1], n > 0; joined, they are what ``audio.read`` returns. C is 1 unless all
        channels are kept.

    Raises:
        DataError: unreadable, damaged, empty, samples that are NaN or Inf, no such channel, or the stretch lies
            outside the file. What was yielded before is sound.
        ConfigError: ``channel`` is no known choice.
        EnvironmentError_: the format needs the ``media`` extra.
    """
    if channel not in ("mix", "split") and not channel.isdecimal():
        raise ConfigError(f"unknown channel {channel!r}", fix="mix, split, or a number from 0 on")
    where = name_of(source)
    resampler: Resampler | None = None
    for rate_hz, samples, last in _ahead(_joined(_samples(source, where, raw_rate_hz, offset_s, duration_s))):
        resampler = resampler or Resampler(rate_hz, sample_rate_hz, where)
        kept = np.ascontiguousarray(checked(_chosen(samples, channel, where), where).T)
        block = resampler.feed(torch.from_numpy(kept), last)
        if block.shape[-1]:
            yield block


def _samples(
    source: Source, where: Where, raw_rate_hz: int | None, offset_s: float, duration_s: float | None
) -> Iterator[tuple[int, Samples]]:
    """Yield rate and blocks (n, channels) of the stretch."""
    with _file(source) as file:
        if raw_rate_hz is not None and _is_headerless(file, Path(where)):
            yield from _cut(((raw_rate_hz, block) for block in _raw_blocks(file, where)), where, offset_s, duration_s)
            return
        if _container(file, where) in MEDIA:
            yield from _cut(media_blocks(file, where), where, offset_s, duration_s)
            return
        with sound(file, where) as opened:
            info = info_of(opened, where)
            start, count = span(info, where, offset_s, duration_s, None)
            if count > _MAX_S * info.sample_rate_hz:
                what = f"its header claims {info.duration_s / 86400:.0f} days of audio"
                raise DataError(what, where=str(where), fix="convert the file again, or cut it into pieces")
            for block in sound_blocks(opened, where, start, count):
                yield info.sample_rate_hz, block


def _container(file: BinaryIO, where: Where) -> str:
    try:
        return container_of(file, where)
    except TruncatedError:
        raise
    except DataError as error:
        is_raw = Path(where).suffix in _MAYBE_RAW and os.fstat(file.fileno()).st_size
        error.fix = "if it has no header: --raw-rate 16000, or what its rate is" if is_raw else error.fix
        raise


@contextmanager
def _file(source: Source) -> Iterator[BinaryIO]:
    """Open a path, or copy a stream, which may not be read twice, to where it can be."""
    if isinstance(source, (str, os.PathLike)):
        with regular(Path(source)) as file:
            yield file
        return
    with tempfile.TemporaryFile(buffering=0) as copy:
        shutil.copyfileobj(source, copy, _RAW_BYTES)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def _is_headerless(file: BinaryIO, path: Path) -> bool:
    container = containers.identify(file.read(containers.HEAD_BYTES))
    file.seek(0)
    return not container or (container in WEAK and path.suffix.lower() not in (".mp3", ".aac"))


def _raw_blocks(file: BinaryIO, where: Where) -> Iterator[Samples]:
    while data := file.read(_RAW_BYTES):
        if len(data) % 2:
            data += file.read(1)
        if len(data) % 2:
            raise DataError("expected headerless 16-bit samples, but an odd number of bytes", where=str(where))
        yield np.frombuffer(data, "<i2").astype(np.float32)[:, None] / np.float32(32768)


def _cut(
    blocks: Iterable[tuple[int, Samples]], where: Where, offset_s: float, duration_s: float | None
) -> Iterator[tuple[int, Samples]]:
    """Keep the stretch that is asked for, where no header says how long the whole is."""
    position = kept = wanted = 0
    for rate_hz, block in blocks:
        start = round(offset_s * rate_hz)
        wanted = 1 if duration_s is None else round((duration_s - END_TOLERANCE_S) * rate_hz)
        stop = None if duration_s is None else max(0, start + round(duration_s * rate_hz) - position)
        part = block[max(0, start - position) : stop]
        position += len(block)
        kept += len(part)
        if len(part):
            yield rate_hz, part
    if kept < wanted or not kept:
        what = f"no samples from {offset_s:g} s on" if not kept else f"ends before {offset_s + (duration_s or 0):.3f} s"
        raise DataError(
            what, where=str(where), fix="leave it out or record it again; correct the manifest if it is in one"
        )


def _joined(blocks: Iterable[tuple[int, Samples]]) -> Iterator[tuple[int, Samples]]:
    """Join small blocks to larger ones."""
    held: list[Samples] = []
    rate_hz = 1
    for rate_hz, block in blocks:
        held.append(block)
        if sum(map(len, held)) >= _BLOCK_S * rate_hz:
            yield rate_hz, np.concatenate(held)
            held = []
    if held:
        yield rate_hz, np.concatenate(held)


def _ahead(blocks: Iterable[tuple[int, Samples]]) -> Iterator[tuple[int, Samples, bool]]:
    """Say of each block whether it is the last."""
    before: tuple[int, Samples] | None = None
    for block in blocks:
        if before is not None:
            yield *before, False
        before = block
    if before is not None:
        yield *before, True


def _chosen(samples: Samples, channel: str, where: Where) -> Samples:
    """Return (n, C) of samples (n, channels)."""
    if channel == "split":
        return samples
    if channel == "mix":
        return mixed(samples)[:, None]
    index = int(channel)
    if index >= samples.shape[1]:
        what = f"channel {index} asked for, it has {samples.shape[1]}, counted from 0"
        raise DataError(what, where=str(where), fix="choose another, or mix or split")
    return samples[:, index : index + 1]
