"""What lies below reading audio: files are opened, known by their content, checked, and decoded block by block."""

from __future__ import annotations

import io
import itertools
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr_ligru.data import containers
from asr_ligru.errors import DataError, EnvironmentError_

END_TOLERANCE_S = 0.010  # a manifest may claim one frame more than the file holds
MEDIA = ("mp4", "webm", "adts")  # containers that PyAV decodes
WEAK = ("mp3", "adts")  # containers whose mark is twelve bits, which samples may have by chance
_BLOCK_VALUES = 1 << 20  # samples x channels decoded at a time, so that a lying header costs no memory
_UNKNOWN_FRAMES = 1 << 62  # libsndfile's frame count when the header leaves it open
_RATES_HZ = (1000, 768_000)
_MAX_PEAK = 8.0  # 18 dB over full scale: beyond it the samples are not on a scale of [-1, 1]
_MP3_SLACK = 2 * 1152  # samples: the length of an MP3 file is an estimate, right to about one frame

Where = str | os.PathLike[str]  # what messages name
Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the header of an audio file says.

    Attributes:
        sample_rate_hz: samples per second, in each channel.
        channels: number of channels, >= 1.
        num_samples: length of one channel, samples.
    """

    sample_rate_hz: int
    channels: int
    num_samples: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate_hz


class TruncatedError(DataError):
    """The file holds less audio than its header declares."""


@contextmanager
def regular(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` without waiting, and only if it is a regular file.

    Raises:
        DataError: there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"cannot open audio file: {reason}", where=str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError("not a regular file", where=str(path), fix="give the path of an audio file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:  # libsndfile shares its position
        yield file


def container_of(file: BinaryIO, where: Where) -> str:
    """Return an open file's container, known by its content, and check that it is all there.

    Raises:
        DataError: not audio.
        TruncatedError: less than the header declares.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(containers.HEAD_BYTES)
    container = containers.identify(head)
    if not container:
        raise DataError(_unknown(head), where=str(where), fix=_unknown_fix(head, Path(where)))
    extent = containers.extent(file, container, size)
    if extent is not None and extent.declared > extent.present:
        what = f"truncated: {extent.declared} bytes of audio expected, {max(0, extent.present)} are there"
        raise TruncatedError(what, where=str(where), fix="fetch or copy the file again")
    file.seek(0)
    return container


def _unknown(head: bytes) -> str:
    return "not an audio file that can be read: " + (f"it starts with {head[:12]!r}" if head else "it is empty")


def _unknown_fix(head: bytes, path: Path) -> str:
    if head.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer; run `git lfs pull`"
    if path.suffix == ".raw":
        return f"headerless samples need a header: sox -t raw -r 16000 -e signed -b 16 -c 1 {path.name} out.wav"
    return "convert it to WAV or FLAC"


@contextmanager
def sound(file: BinaryIO, where: Where) -> Iterator[Any]:
    """Open with libsndfile; every error inside becomes a ``DataError``."""
    try:
        with soundfile.SoundFile(file if isinstance(file, io.BytesIO) else file.fileno(), closefd=False) as opened:
            yield opened
    except soundfile.LibsndfileError as error:
        what = f"cannot decode audio: {error.error_string.strip() or 'damaged data'}"
        raise DataError(what, where=str(where), fix="fetch the file again or convert it to WAV or FLAC") from error


def info_of(opened: Any, where: Where) -> AudioInfo:
    """Return what the header of an open sound says.

    Raises:
        DataError: no samples, or an impossible header.
    """
    low, high = _RATES_HZ
    if not low <= opened.samplerate <= high:
        what = f"sample rate {opened.samplerate} Hz, expected {low} to {high} Hz"
        raise DataError(what, where=str(where), fix="the header is wrong; convert the file again")
    if opened.frames >= _UNKNOWN_FRAMES:
        fix = "encode it again, not to a pipe"
        raise DataError("the header does not say how long it is", where=str(where), fix=fix)
    if opened.frames <= 0:
        raise DataError("no samples", where=str(where), fix="leave the file out or record it again")
    return AudioInfo(opened.samplerate, opened.channels, opened.frames)


def span(
    info: AudioInfo, where: Where, offset_s: float, duration_s: float | None, max_seconds: float | None
) -> tuple[int, int]:
    """Return (first sample, number of samples) of a stretch, both inside the file.

    Raises:
        DataError: there is no such stretch, or it is longer than ``max_seconds``.
    """
    wanted_s = info.duration_s - offset_s if duration_s is None else duration_s
    if not (math.isfinite(offset_s) and offset_s >= 0 and math.isfinite(wanted_s) and wanted_s > 0):
        what = f"offset {offset_s} s and duration {duration_s} s name no stretch of a file of {info.duration_s:.3f} s"
        raise DataError(what, where=str(where), fix="correct the manifest")
    if offset_s + wanted_s > info.duration_s + END_TOLERANCE_S:
        what = f"ends at {offset_s + wanted_s:.3f} s, but the file holds {info.duration_s:.3f} s"
        raise DataError(what, where=str(where), fix="correct offset and duration in the manifest, or prepare again")
    if max_seconds is not None and wanted_s > max_seconds:
        what = f"{wanted_s:.2f} s long, at most {max_seconds:g} s are allowed (corpus.max_seconds)"
        raise DataError(what, where=str(where), fix="cut it into pieces or raise corpus.max_seconds")
    start = round(offset_s * info.sample_rate_hz)
    count = min(round(wanted_s * info.sample_rate_hz), info.num_samples - start)
    if count < 1:
        raise DataError(f"no samples from {offset_s:.4f} s for {wanted_s:.6f} s", where=str(where))
    return start, count


def sound_blocks(opened: Any, where: Where, start: int, count: int) -> Iterator[Samples]:
    """Yield ``count`` samples from ``start`` on as blocks (n, channels).

    Raises:
        TruncatedError: the file holds fewer than its header said.
    """
    opened.seek(start)
    block = max(1, _BLOCK_VALUES // opened.channels)
    left = count
    while left:
        samples = opened.read(min(block, left), dtype="float32", always_2d=True)
        if not len(samples):
            if left < count and left <= _MP3_SLACK and opened.format == "MP3":
                return
            what = f"truncated: {start + count} samples expected, decoding ended after {start + count - left}"
            raise TruncatedError(what, where=str(where), fix="fetch or copy the file again")
        yield samples
        left -= len(samples)


def media_blocks(file: BinaryIO, where: Where) -> Iterator[tuple[int, Samples]]:
    """Decode AAC, ALAC, Opus or Vorbis in MP4, WebM or ADTS with PyAV.

    Yields:
        Sample rate in Hz and a block (n, channels), n > 0.

    Raises:
        DataError: damaged, or no audio in it.
        EnvironmentError_: PyAV is not installed.
    """
    try:
        import av  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        what = "m4a, mp4, aac and webm files need PyAV, which is not installed"
        raise EnvironmentError_(what, where=str(where), fix='pip install "asr-ligru[media]"') from error
    try:
        with av.open(file, mode="r", metadata_errors="replace") as media:
            if not media.streams.audio:
                raise DataError("no audio in it", where=str(where))
            resampler = av.AudioResampler(format="flt")
            for frame in itertools.chain(media.decode(audio=0), [None]):  # None: the resampler's rest
                for part in resampler.resample(frame):
                    samples: Samples = part.to_ndarray().reshape(-1, part.layout.nb_channels).astype(np.float32)
                    yield media.streams.audio[0].rate, samples
    except av.error.FFmpegError as error:
        raise DataError(f"cannot decode audio: {error.strerror}", where=str(where)) from error


def mixed(samples: Samples) -> Samples:
    """Return the mean (n,) of channels (n, channels)."""
    with np.errstate(all="ignore"):  # NaN, Inf and overflow are looked for afterwards
        mean: Samples = samples.mean(axis=1, dtype=np.float32)
    return mean


def checked(samples: Samples, where: Where) -> Samples:
    """Return samples limited to [-1, 1].

    Raises:
        DataError: NaN, Inf, or samples that are on another scale.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(peak):
        bad = int((~np.isfinite(samples)).sum())
        raise DataError(f"{bad} samples are NaN or Inf", where=str(where), fix="leave the file out or convert it again")
    if peak > _MAX_PEAK:
        what = f"peak {peak:.4g}, expected samples in [-1, 1]"
        raise DataError(what, where=str(where), fix="convert it to 16-bit WAV with the right scale")
    return samples if peak <= 1.0 else samples.clip(-1.0, 1.0)
