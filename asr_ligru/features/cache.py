"""Raw features kept on disk, so that each recording is read and transformed once.

An entry is a ``.npy`` file with the CRC-32 of its bytes after it, named by the hash of everything that decides its
content. Entries never change and do not know of each other, so threads, processes and interrupted runs cannot disturb
one another, and the folder can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchaudio
from torch import Tensor

from asr_ligru.config import FeaturesConfig, as_dict
from asr_ligru.errors import DataError
from asr_ligru.safety import printable

_FORMAT = 2  # 1: before digital silence had features of its own
_CRC_BYTES = 4
# Settings applied after the cache; every other one makes other features.
_LATER = ("deltas", "splice", "cmvn", "cmvn_variance", "cache")

_log = logging.getLogger(__name__)


def cache_key(
    config: FeaturesConfig,
    audio_path: Path,
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    speed: float = 1.0,
    channel: str = "error",
) -> str:
    """Return the name of the raw features of a stretch of an audio file.

    Args:
        config: the features.
        audio_path: the file; its place, size and time of change stand for its content.
        offset_s: where the stretch begins, seconds.
        duration_s: how long it is, seconds; None for all that follows.
        speed: factor of speed perturbation.
        channel: which channel is read.

    Returns:
        64 hexadecimal digits.

    Raises:
        DataError: there is no such file.
    """
    try:
        status = os.stat(audio_path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise DataError(f"cannot read audio file: {error}", where=printable(str(audio_path))) from error
    settings = {key: value for key, value in as_dict(config).items() if key not in _LATER}
    stretch = [
        os.fspath(audio_path.resolve()),
        status.st_size,
        status.st_mtime_ns,
        offset_s,
        duration_s,
        channel,
        speed,
    ]
    versions = [_FORMAT, torch.__version__, torchaudio.__version__]
    return hashlib.sha256(json.dumps([versions, settings, stretch], sort_keys=True).encode()).hexdigest()


class FeatureCache:
    """A folder of raw features.

    A damaged entry is reported and computed again. If the folder cannot be written, that is reported once and the
    cache only reads from then on: features are never lost, only computed more often.

    Args:
        folder: made when the first entry is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writable = True

    def get_or_compute(self, key: str, compute: Callable[[], Tensor]) -> Tensor:
        """Return the features called ``key``, bitwise as ``compute`` made them.

        Args:
            key: from ``cache_key``.
            compute: called if there is no intact entry; returns (T, raw_size) float32. Its errors are passed on and
                nothing is kept.
        """
        feats = self.get(key)
        if feats is None:
            feats = compute()
            self.put(key, feats)
        return feats

    def get(self, key: str) -> Tensor | None:
        """Return a copy of the features called ``key``, or None if there is no intact entry."""
        path = self._path(key)
        try:
            return torch.from_numpy(_decode(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, EOFError) as error:
            _log.warning("cached features are damaged and computed again: %s (%s)", printable(str(path)), error)
            return None

    def put(self, key: str, feats: Tensor) -> None:
        """Keep ``feats`` (T, raw_size) float32 under ``key``; readers see the whole entry or none."""
        if not self._writable:
            return
        path = self._path(key)
        temp = path.with_name(f".tmp-{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temp.write_bytes(_encode(feats))
                temp.replace(path)
            finally:
                temp.unlink(missing_ok=True)
        except OSError as error:
            self._writable = False
            where = printable(str(self._folder))
            _log.warning("features are not kept on disk: cannot write to %s (%s)", where, error.strerror)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key[2:]}.npy"


def _encode(feats: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, feats.numpy(), allow_pickle=False)
    data = buffer.getvalue()
    return data + zlib.crc32(data).to_bytes(_CRC_BYTES, "little")


def _decode(data: bytes) -> np.ndarray:
    body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if len(crc) < _CRC_BYTES or zlib.crc32(body).to_bytes(_CRC_BYTES, "little") != crc:
        raise ValueError(f"wrong checksum, {len(data)} bytes")
    array: np.ndarray = np.load(io.BytesIO(body), allow_pickle=False)
    return array
