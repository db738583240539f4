"""Long recordings are cut where nobody speaks, and where somebody always does, into pieces that overlap.

What is quiet is said by energy: short frames whose level lies near the floor of the last minutes, well below their
loudest. Nothing but the sound decides, so a recording is cut in the same way whatever else is decoded with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

FRAME_S = 0.01
_MAX_OVERLAP_S = 2.0
_OVERLAP = 0.3  # of a piece, at most
_SHORTEST = 0.4  # of the longest piece: before that no pause is looked for
_SLACK_S = 1.0  # as much longer a last piece may be than the limit, so that none is too short to decode
_MIN_PAUSE_S = 0.15
_PAD_S = 0.3  # of a pause that is kept beside speech
_SILENT_DB = -70.0  # of full scale: below it is no speech
_LOWEST_DB = -80.0
_FLOOR, _TOP = 0.10, 0.95  # shares of the frames that lie below the floor and below the loudest
_MIN_RANGE_DB = 8.0  # between those two: with less, speech cannot be told from the rest
_QUIET = 0.25  # of that range is still quiet
_HALF_LIFE_FRAMES = 18_000  # three minutes


@dataclass(frozen=True, slots=True)
class Piece:
    """What is decoded as one.

    Attributes:
        start: its first sample, counted from the beginning of the recording.
        wav: (N,) samples.
        overlap: as many samples at its beginning are those at the end of the piece before it, too.
    """

    start: int
    wav: Tensor
    overlap: int = 0


class Cutter:
    """Cuts one channel as its blocks come in.

    Args:
        rate_hz: samples in a second.
        piece_s: longest piece of a recording that is cut, seconds, at least 4.
        whole_s: a recording that is not longer is one piece, silences and all; at least ``piece_s`` and 1 s.

    Attributes:
        silent: samples that were left out because they belong to long silences.
    """

    def __init__(self, rate_hz: int, piece_s: float, whole_s: float) -> None:
        self._frame = round(FRAME_S * rate_hz)
        self._rate_hz = rate_hz
        self._piece = round(piece_s * rate_hz) // self._frame * self._frame
        self._whole = whole_s * rate_hz
        self._level = _Level()
        self._held = torch.zeros(0)
        self._start = 0  # of what is held, in the recording
        self._overlap = 0
        self._measured = 0  # samples whose energy is known already, from the beginning of the recording
        self._is_cut = False
        self.silent = 0

    def feed(self, block: Tensor) -> Iterator[Piece]:
        """Take the next samples (n,) and yield the pieces that are complete."""
        self._held = torch.cat([self._held, block])
        while len(self._held) > (self._piece + self._samples(_SLACK_S) if self._is_cut else self._whole):
            self._is_cut = True
            yield from self._next()

    def finish(self) -> Iterator[Piece]:
        """Yield what is left."""
        if not self._is_cut:
            yield Piece(0, self._held)
        elif len(self._held) > self._overlap:
            yield from self._spoken(len(self._held), len(self._held))

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._rate_hz)

    def _next(self) -> Iterator[Piece]:
        """Yield the first piece of what is held, unless that is silence."""
        pause = self._longest_pause(self._quiet(self._piece))
        if pause is not None:
            middle, pad = sum(pause) // 2, self._samples(_PAD_S)
            yield from self._spoken(min(middle, pause[0] + pad), max(middle, pause[1] - pad))
            return
        overlap = min(self._samples(_MAX_OVERLAP_S), round(_OVERLAP * self._piece))
        yield Piece(self._start, self._held[: self._piece].clone(), self._overlap)
        self._drop(self._piece - overlap, overlap)

    def _spoken(self, end: int, following: int) -> Iterator[Piece]:
        """Yield what is held up to ``end`` without the silence it begins with; go on at ``following``."""
        loud = (~self._quiet(end)).nonzero()[:, 0].tolist()
        first = max(0, loud[0] * self._frame - self._samples(_PAD_S)) if loud else end
        if self._overlap:
            first = 0
        if first < end:
            yield Piece(self._start + first, self._held[first:end].clone(), self._overlap)
        self.silent += first + following - end
        self._drop(following, 0)

    def _drop(self, count: int, overlap: int) -> None:
        self._held = self._held[count:]
        self._start += count
        self._overlap = overlap

    def _quiet(self, count: int) -> Tensor:
        """Say of each frame of the first ``count`` samples held whether it is quiet."""
        whole = self._held[: count // self._frame * self._frame]
        power = whole.view(-1, self._frame).square().mean(dim=1)
        levels = 10.0 * power.clamp(min=1e-12).log10()
        new = max(0, self._measured - self._start) // self._frame
        self._level.add(levels[new:])
        self._measured = max(self._measured, self._start + len(whole))
        return levels < self._level.quiet_db()

    def _longest_pause(self, quiet: Tensor) -> tuple[int, int] | None:
        """Return where the longest pause behind the first seconds begins and ends, in samples held."""
        low = round(_SHORTEST * len(quiet))
        is_pause, lengths = torch.unique_consecutive(quiet[low:], return_counts=True)
        pauses = torch.where(is_pause, lengths, 0)
        best = int(pauses.argmax())
        if int(pauses[best]) * FRAME_S < _MIN_PAUSE_S:
            return None
        begin = low + int(lengths[:best].sum())
        return begin * self._frame, (begin + int(lengths[best])) * self._frame


class _Level:
    """How loud the last minutes were: a histogram of frames over decibels, older ones counting less."""

    def __init__(self) -> None:
        self._counts = torch.zeros(round(-_LOWEST_DB) + 1, dtype=torch.float64)

    def add(self, levels_db: Tensor) -> None:
        """Count frames."""
        self._counts *= 0.5 ** (len(levels_db) / _HALF_LIFE_FRAMES)
        bins = (levels_db - _LOWEST_DB).clamp(0, len(self._counts) - 1).long()
        self._counts += torch.bincount(bins, minlength=len(self._counts))

    def quiet_db(self) -> float:
        """Return the level below which a frame is quiet."""
        shares = self._counts.cumsum(0) / self._counts.sum().clamp(min=1.0)
        floor, top = (_LOWEST_DB + int((shares < share).sum()) for share in (_FLOOR, _TOP))
        if top - floor < _MIN_RANGE_DB:
            return _SILENT_DB
        return max(_SILENT_DB, floor + _QUIET * (top - floor))
