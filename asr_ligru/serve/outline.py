"""How long a recording is and how it looks, found by reading it once before anything is recognised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d

from asr_ligru.serve.refusal import Refusal

_FRAME_S = 0.01
_MAX_PEAKS = 1000


@dataclass(frozen=True, slots=True)
class Outline:
    """A recording seen from afar.

    Attributes:
        duration_s: how long it is, seconds.
        peaks: largest amplitudes of up to 1000 equal parts, in percent of full scale.
    """

    duration_s: float
    peaks: list[int]


def outline_of(blocks: Iterable[Tensor], rate_hz: int, max_seconds: float) -> Outline:
    """Look at a recording.

    Args:
        blocks: (1, n) samples, at least one in all.
        rate_hz: samples in a second.
        max_seconds: how long it may be.

    Raises:
        Refusal: 413, it is longer; what follows was not read.
    """
    frame = round(_FRAME_S * rate_hz)
    count = 0
    held = torch.zeros(0)
    levels = []
    for block in blocks:
        count += block.shape[-1]
        if count > max_seconds * rate_hz:
            what = f"the recording is too long: at most {max_seconds:g} s are accepted"
            raise Refusal(413, what, "cut it, or start the server with a larger --max-seconds")
        held = torch.cat([held, block[0].abs()])
        whole = len(held) // frame * frame
        levels.append(held[:whole].view(-1, frame).amax(dim=1))
        held = held[whole:]
    if len(held):
        levels.append(held.amax(dim=0, keepdim=True))
    every = torch.cat(levels)
    bars = adaptive_max_pool1d(every[None], min(len(every), _MAX_PEAKS))[0]
    return Outline(count / rate_hz, (100 * bars).round().int().tolist())
