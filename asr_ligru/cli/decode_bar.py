"""The progress of decoding, on a terminal: files, or the seconds of a single one, and the real-time factor."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from tqdm import tqdm

from asr_ligru.data import audio
from asr_ligru.decode.inputs import Input
from asr_ligru.errors import AsrLigruError

_FILES = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} files, {elapsed}<{remaining}{postfix}"
_SECONDS = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
_UNKNOWN = "{desc} {n:.0f} s of audio, {elapsed}{postfix}"
_DELAY_S = 0.5  # what is done by then needs no bar
_SLOW_TO_PROBE = (".m4a", ".mp4", ".aac", ".webm")  # have to be decoded to know how long they are


class DecodeBar:
    """A bar on standard error.

    Args:
        inputs: what is decoded.
        enabled: False shows nothing.
    """

    def __init__(self, inputs: Sequence[Input], enabled: bool) -> None:
        self._many = len(inputs) > 1
        total = float(len(inputs)) if self._many else _duration_s(inputs[0])
        self._audio_s = 0.0
        self._started = time.monotonic()
        self._bar = tqdm(
            total=total,
            desc="decoding",
            disable=not enabled,
            leave=False,
            file=sys.stderr,
            dynamic_ncols=True,
            delay=_DELAY_S,
            bar_format=_FILES if self._many else _SECONDS if total else _UNKNOWN,
        )

    def __enter__(self) -> DecodeBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def heard(self, seconds: float) -> None:
        """Count audio that was read."""
        self._audio_s += seconds
        if self._audio_s:
            rtf = (time.monotonic() - self._started) / self._audio_s
            self._bar.set_postfix_str(f"RTF {rtf:.4f}", refresh=False)
        self._bar.update(0 if self._many else seconds)

    def file_done(self) -> None:
        """Count a file whose text is known."""
        self._bar.update(1 if self._many else 0)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar away while something else is printed."""
        if not self._bar.disable and sys.stdout.isatty():
            self._bar.clear()
        yield


def _duration_s(source: Input) -> float | None:
    if source.path is None or source.duration_s or source.path.suffix.lower() in _SLOW_TO_PROBE:
        return source.duration_s
    try:
        return audio.probe(source.path).duration_s
    except AsrLigruError:  # said when it is decoded
        return None
