"""Another sample rate: of a whole recording, or block by block with the same result."""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor

from asr_ligru.errors import DataError

_MAX_KERNEL = 20_000_000  # weights of a filter; rates without a common factor need billions
_WIDTH = 6  # zero crossings of the filter on each side: torchaudio's default
_ZERO_CROSSINGS = _WIDTH / 0.99  # the same in samples of the lower rate


def resampled(wav: Tensor, from_hz: int, to_hz: int, where: str | os.PathLike[str], width: int = _WIDTH) -> Tensor:
    """Return ``wav`` (..., N) at another rate, limited to [-1, 1].

    Args:
        wav: samples.
        from_hz: the rate that comes in.
        to_hz: the rate that goes out.
        where: the recording, for messages.
        width: zero crossings of the filter on each side; with more it is steeper.

    Raises:
        DataError: the rates have no common factor to speak of.
    """
    common = math.gcd(from_hz, to_hz)
    if from_hz * to_hz // common**2 > _MAX_KERNEL:
        what = f"cannot resample {from_hz} Hz to {to_hz} Hz: the rates have no common factor to speak of"
        raise DataError(what, where=str(where), fix="convert the file to a usual rate, such as 16000 Hz")
    if from_hz == to_hz:
        return wav
    from asr_ligru.torchaudio_import import ensure

    ensure()
    import torchaudio.functional

    result: Tensor = torchaudio.functional.resample(wav, from_hz, to_hz, lowpass_filter_width=width)
    return result.clamp_(-1.0, 1.0)


class Resampler:
    """Resamples a recording that comes in blocks; what comes out, joined, is ``resampled`` of the whole.

    Args:
        from_hz: the rate that comes in.
        to_hz: the rate that goes out.
        where: the recording, for messages.
    """

    def __init__(self, from_hz: int, to_hz: int, where: str | os.PathLike[str]) -> None:
        self._rates = (from_hz, to_hz, where)
        common = math.gcd(from_hz, to_hz)
        self._in, self._out = from_hz // common, to_hz // common  # so many samples become so many
        reach = math.ceil(_ZERO_CROSSINGS * max(1.0, from_hz / to_hz)) + 1
        self._context = -(-reach // self._in) * self._in
        self._held: Tensor | None = None  # what has been used and may still be seen from later samples, and the rest
        self._used = 0  # samples at the beginning of it that are done

    def feed(self, block: Tensor, last: bool = False) -> Tensor:
        """Return (C, M) samples for those of ``block`` (C, N) whose surroundings are known, and for earlier ones.

        Args:
            block: the next samples.
            last: nothing follows.
        """
        held = block if self._held is None else torch.cat([self._held, block], dim=-1)
        ready = held.shape[-1] if last else (held.shape[-1] - self._context) // self._in * self._in
        if ready <= self._used:
            self._held = held
            return block[..., :0]
        out = resampled(held[..., : ready + self._context], *self._rates)
        first = self._used * self._out // self._in
        keep = max(0, ready - self._context)  # a multiple of _in, as ready and _context are
        self._held, done = held[..., keep:], self._used
        self._used = ready - keep
        return out[..., first : first + -(-(ready - done) * self._out // self._in)]
