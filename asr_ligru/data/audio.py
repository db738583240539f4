"""The only place that opens audio files.

Every other module gets ``wav``: a float32 mono tensor in [-1, 1] at the rate it asked for, or a ``DataError``
that says why not. Nothing is padded, reinterpreted or mixed down without being asked for.
"""

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
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_ligru.data import containers
from asr_ligru.errors import ConfigError, DataError, EnvironmentError_
from asr_ligru.safety import atomic_write

END_TOLERANCE_S = 0.010  # a manifest may claim one frame more than the file holds
_BLOCK_VALUES = 1 << 20  # samples x channels decoded at a time, so that a lying header costs no memory
_UNKNOWN_FRAMES = 1 << 62  # libsndfile's frame count when the header leaves it open
_RATES_HZ = (1000, 768_000)
_MAX_PEAK = 8.0  # 18 dB over full scale: beyond it the samples are not on a scale of [-1, 1]
_MAX_KERNEL = 20_000_000  # weights of a resampling filter; rates without a common factor need billions
_MP3_SLACK = 2 * 1152  # samples: the length of an MP3 file is an estimate, right to about one frame
_MEDIA = ("mp4", "webm", "adts")

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


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Read the header of an audio file.

    Args:
        path: a regular file in a format that libsndfile reads, or PyAV where it is installed.

    Raises:
        DataError: no such file, not a regular file, not audio, truncated, or an impossible header.
        EnvironmentError_: the format needs the ``media`` extra.
    """
    with _opened(Path(path)) as (file, container):
        if container in _MEDIA:
            return _decode_media(file, path, math.inf)[0]
        with _sound(file, path) as sound:
            return _info(sound, path)


def read(
    path: str | os.PathLike[str],
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    sample_rate_hz: int | None = None,
    resample: bool = False,
    channel: str = "error",
    max_seconds: float | None = None,
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
    with _opened(path) as (file, container):
        if container in _MEDIA:
            info, samples = _decode_media(file, path, math.inf if max_seconds is None else max_seconds)
            start, count = _span(info, path, offset_s, duration_s, max_seconds)
            _check_rate(info, path, sample_rate_hz, resample)
            samples = samples[start : start + count]
        else:
            with _sound(file, path) as sound:
                info = _info(sound, path)
                start, count = _span(info, path, offset_s, duration_s, max_seconds)
                _check_rate(info, path, sample_rate_hz, resample)
                samples = _decode(sound, path, start, count)
    wav = torch.from_numpy(_checked(_one_channel(samples, channel, path), path))
    if sample_rate_hz is None or sample_rate_hz == info.sample_rate_hz:
        return wav
    return _resampled(wav, info.sample_rate_hz, sample_rate_hz, path)


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
    with _regular(path) as file:
        data = file.read()
    has_header = containers.identify(data[: containers.HEAD_BYTES]) not in ("", "mp3", "adts")
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
    buffer = io.BytesIO()
    kind = path.suffix[1:].upper()
    soundfile.write(buffer, wav.numpy(), sample_rate_hz, subtype="PCM_16", format=kind)
    atomic_write(path, buffer.getvalue())


_PCM16 = {"little": "<i2", "big": ">i2"}


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` without waiting, and only if it is a regular file."""
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


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """Open an audio file, know its container by its content, and check that it is all there."""
    with _regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(containers.HEAD_BYTES)
        container = containers.identify(head)
        if not container:
            raise DataError(_unknown(head), where=str(path), fix=_unknown_fix(head, path))
        extent = containers.extent(file, container, size)
        if extent is not None and extent.declared > extent.present:
            what = f"truncated: {extent.declared} bytes of audio expected, {max(0, extent.present)} are there"
            raise TruncatedError(what, where=str(path), fix="fetch or copy the file again")
        file.seek(0)
        yield file, container


def _unknown(head: bytes) -> str:
    return "not an audio file that can be read: " + (f"it starts with {head[:12]!r}" if head else "it is empty")


def _unknown_fix(head: bytes, path: Path) -> str:
    if head.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer; run `git lfs pull`"
    if path.suffix == ".raw":
        return f"headerless samples need a header: sox -t raw -r 16000 -e signed -b 16 -c 1 {path.name} out.wav"
    return "convert it to WAV or FLAC"


@contextmanager
def _sound(file: BinaryIO, path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open with libsndfile; every error inside becomes a ``DataError``."""
    try:
        with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            yield sound
    except soundfile.LibsndfileError as error:
        what = f"cannot decode audio: {error.error_string.strip() or 'damaged data'}"
        raise DataError(what, where=str(path), fix="fetch the file again or convert it to WAV or FLAC") from error


def _info(sound: Any, path: str | os.PathLike[str]) -> AudioInfo:
    low, high = _RATES_HZ
    if not low <= sound.samplerate <= high:
        what = f"sample rate {sound.samplerate} Hz, expected {low} to {high} Hz"
        raise DataError(what, where=str(path), fix="the header is wrong; convert the file again")
    if sound.frames >= _UNKNOWN_FRAMES:
        raise DataError("the header does not say how long it is", where=str(path), fix="encode it again, not to a pipe")
    if sound.frames <= 0:
        raise DataError("no samples", where=str(path), fix="leave the file out or record it again")
    return AudioInfo(sound.samplerate, sound.channels, sound.frames)


def _span(
    info: AudioInfo, path: Path, offset_s: float, duration_s: float | None, max_seconds: float | None
) -> tuple[int, int]:
    """Return (first sample, number of samples), both inside the file."""
    wanted_s = info.duration_s - offset_s if duration_s is None else duration_s
    if not (math.isfinite(offset_s) and offset_s >= 0 and math.isfinite(wanted_s) and wanted_s > 0):
        what = f"offset {offset_s} s and duration {duration_s} s name no stretch of a file of {info.duration_s:.3f} s"
        raise DataError(what, where=str(path), fix="correct the manifest")
    if offset_s + wanted_s > info.duration_s + END_TOLERANCE_S:
        what = f"ends at {offset_s + wanted_s:.3f} s, but the file holds {info.duration_s:.3f} s"
        raise DataError(what, where=str(path), fix="correct offset and duration in the manifest, or prepare again")
    if max_seconds is not None and wanted_s > max_seconds:
        what = f"{wanted_s:.2f} s long, at most {max_seconds:g} s are allowed (corpus.max_seconds)"
        raise DataError(what, where=str(path), fix="cut it into pieces or raise corpus.max_seconds")
    start = round(offset_s * info.sample_rate_hz)
    count = min(round(wanted_s * info.sample_rate_hz), info.num_samples - start)
    if count < 1:
        raise DataError(f"no samples from {offset_s:.4f} s for {wanted_s:.6f} s", where=str(path))
    return start, count


def _check_rate(info: AudioInfo, path: Path, sample_rate_hz: int | None, resample: bool) -> None:
    if sample_rate_hz is not None and sample_rate_hz != info.sample_rate_hz and not resample:
        what = f"sample rate {info.sample_rate_hz} Hz, expected {sample_rate_hz} Hz (features.sample_rate_hz)"
        raise DataError(what, where=str(path), fix="set corpus.resample=true, or features.sample_rate_hz to its rate")


def _decode(sound: Any, path: Path, start: int, count: int) -> Samples:
    """Return (count, channels) samples; fewer in the file than its header said is an error."""
    sound.seek(start)
    block = max(1, _BLOCK_VALUES // sound.channels)
    blocks: list[Samples] = []
    left = count
    while left:
        samples = sound.read(min(block, left), dtype="float32", always_2d=True)
        if not len(samples):
            if blocks and left <= _MP3_SLACK and sound.format == "MP3":
                break
            what = f"truncated: {start + count} samples expected, decoding ended after {start + count - left}"
            raise TruncatedError(what, where=str(path), fix="fetch or copy the file again")
        blocks.append(samples)
        left -= len(samples)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _one_channel(samples: Samples, channel: str, path: Path) -> Samples:
    channels = samples.shape[1]
    if channel == "mix":
        with np.errstate(all="ignore"):  # NaN, Inf and overflow are looked for afterwards
            mixed: Samples = samples.mean(axis=1, dtype=np.float32)
        return mixed
    if channel == "error" and channels > 1:
        what = f"{channels} channels, expected 1"
        raise DataError(what, where=str(path), fix="set corpus.channel to 0, 1, ... or mix")
    if channel != "error" and not channel.isdecimal():
        raise ConfigError(f"unknown channel {channel!r}", where="corpus.channel", fix="error, mix, 0, 1, ...")
    index = 0 if channel == "error" else int(channel)
    if index >= channels:
        raise DataError(f"channel {index} asked for, it has {channels}", where=str(path), fix="set corpus.channel=0")
    return np.ascontiguousarray(samples[:, index])


def _checked(samples: Samples, path: Path) -> Samples:
    peak = float(np.abs(samples).max())
    if not math.isfinite(peak):
        bad = int((~np.isfinite(samples)).sum())
        raise DataError(f"{bad} samples are NaN or Inf", where=str(path), fix="leave the file out or convert it again")
    if peak > _MAX_PEAK:
        what = f"peak {peak:.4g}, expected samples in [-1, 1]"
        raise DataError(what, where=str(path), fix="convert it to 16-bit WAV with the right scale")
    return samples if peak <= 1.0 else samples.clip(-1.0, 1.0)


def _resampled(wav: Tensor, from_hz: int, to_hz: int, path: Path) -> Tensor:
    common = math.gcd(from_hz, to_hz)
    if from_hz * to_hz // common**2 > _MAX_KERNEL:
        what = f"cannot resample {from_hz} Hz to {to_hz} Hz: the rates have no common factor to speak of"
        raise DataError(what, where=str(path), fix="convert the file to a usual rate, such as 16000 Hz")
    from asr_ligru.torchaudio_import import ensure

    ensure()
    import torchaudio.functional

    resampled: Tensor = torchaudio.functional.resample(wav, from_hz, to_hz)
    return resampled.clamp_(-1.0, 1.0)


def _decode_media(file: BinaryIO, path: str | os.PathLike[str], max_seconds: float) -> tuple[AudioInfo, Samples]:
    """Decode AAC, ALAC, Opus or Vorbis in MP4, WebM or ADTS with PyAV."""
    try:
        import av  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        what = "m4a, mp4, aac and webm files need PyAV, which is not installed"
        raise EnvironmentError_(what, where=str(path), fix='pip install "asr-ligru[media]"') from error
    try:
        with av.open(file, mode="r", metadata_errors="replace") as media:
            if not media.streams.audio:
                raise DataError("no audio in it", where=str(path))
            return _media_samples(av, media, path, max_seconds)
    except av.error.FFmpegError as error:
        raise DataError(f"cannot decode audio: {error.strerror}", where=str(path)) from error


def _media_samples(av: Any, media: Any, path: str | os.PathLike[str], max_seconds: float) -> tuple[AudioInfo, Samples]:
    """Decode the first audio stream of an open container."""
    rate_hz = media.streams.audio[0].rate
    resampler = av.AudioResampler(format="flt")
    blocks: list[Samples] = []
    count = 0
    for frame in itertools.chain(media.decode(audio=0), [None]):  # None: the resampler's rest
        for part in resampler.resample(frame):
            blocks.append(part.to_ndarray().reshape(-1, part.layout.nb_channels))
            count += len(blocks[-1])
            if count > max_seconds * rate_hz:
                what = f"longer than {max_seconds:g} s, which is all that is allowed (corpus.max_seconds)"
                raise DataError(what, where=str(path), fix="cut it into pieces or raise corpus.max_seconds")
    if not count:
        raise DataError("no samples", where=str(path), fix="leave the file out or record it again")
    samples = np.concatenate(blocks)
    return AudioInfo(rate_hz, samples.shape[1], count), samples
