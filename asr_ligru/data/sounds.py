"""A folder of noises or of impulse responses, checked when it is opened."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr_ligru.data import audio
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.noise import is_silent
from asr_ligru.typing import BadUtterance

_KEPT_SAMPLES = 1 << 26  # of all files together held in memory, 256 MB; the others are read each time
_DRAWS = 10  # of a stretch that is not silent


class Sounds:
    """Recordings of a folder and all below it, mono at one sample rate.

    Which files there are decides, in the order of their paths, which of them a random number stands for.

    Args:
        folder: holds audio files; hidden files and ``.txt``, ``.md``, ``.csv`` and ``.json`` files are passed over.
        glob: which files, by their names.
        sample_rate_hz: what they are converted to.
        channel: of files with several; see ``audio.read``.
        key: the configuration key of the folder, for messages.

    Attributes:
        bad: a record of each file that cannot be used, or holds nothing but silence.

    Raises:
        ConfigError: there is no such folder.
        DataError: no usable file in it.
    """

    def __init__(
        self, folder: Path, sample_rate_hz: int, *, glob: str = "*", channel: str = "mix", key: str = ""
    ) -> None:
        self._rate_hz, self._channel = sample_rate_hz, channel
        self.bad: list[BadUtterance] = []
        self._lengths: dict[Path, int] = {}
        self._kept: dict[Path, Tensor] = {}
        self._room = _KEPT_SAMPLES
        if not folder.is_dir():
            raise ConfigError(f"no such folder: {folder}", where=key, fix="give the folder that holds the recordings")
        for path in sorted(p for p in folder.rglob("*") if _is_sound(p) and fnmatchcase(p.name, glob)):
            self._add(path, str(path.relative_to(folder)))
        if not self._lengths:
            found = f"; the first of {len(self.bad)} bad ones: {self.bad[0].reason}" if self.bad else ""
            raise DataError(f"no usable audio file named {glob!r} in {folder}{found}", where=key)
        self._paths = list(self._lengths)

    def __len__(self) -> int:
        return len(self._paths)

    def whole(self, rng: np.random.Generator) -> Tensor:
        """Return (M,) float32, a file drawn at random."""
        return self._read(self._paths[rng.integers(len(self._paths))])

    def stretch(self, rng: np.random.Generator, num_samples: int) -> Tensor:
        """Return (num_samples,) float32 from a random place of a file drawn at random, repeated where it is shorter.

        A silent stretch is drawn again, ten times at most.
        """
        path = self._paths[rng.integers(len(self._paths))]
        for _ in range(_DRAWS):
            found = self._stretch(path, rng, num_samples)
            if not is_silent(found):
                break
        return found

    def _stretch(self, path: Path, rng: np.random.Generator, count: int) -> Tensor:
        length = self._lengths[path]
        start = int(rng.integers(length if length < count else length - count + 1))
        if length < count or path in self._kept:
            return self._read(path)[(start + torch.arange(count)) % length]
        wav = self._read(path, start, count)
        return wav[torch.arange(count) % len(wav)]  # a sample may be missing where rates are converted

    def _add(self, path: Path, name: str) -> None:
        try:
            wav = self._read(path)
        except DataError as error:
            self.bad.append(BadUtterance(name, "sound", error.what, str(path)))
            return
        if is_silent(wav):
            self.bad.append(BadUtterance(name, "sound", "nothing but silence", str(path)))
            return
        self._lengths[path] = len(wav)
        if len(wav) <= self._room:
            self._kept[path] = wav
            self._room -= len(wav)

    def _read(self, path: Path, start: int = 0, count: int | None = None) -> Tensor:
        """Return a file, or at most ``count`` samples of it."""
        if path in self._kept:
            return self._kept[path]
        return audio.read(
            path,
            offset_s=start / self._rate_hz,
            duration_s=None if count is None else count / self._rate_hz,
            sample_rate_hz=self._rate_hz,
            resample=True,
            channel=self._channel,
        )


def _is_sound(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix not in (".txt", ".md", ".csv", ".json")
