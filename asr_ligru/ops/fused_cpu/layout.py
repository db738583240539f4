"""Where utterances lie in tensors over all their frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from asr_ligru.ops.fused_cpu.memory import unwritten


@dataclass(frozen=True)
class Layout:
    """Where utterances lie in tensors (D, N, units) over all their frames.

    Attributes:
        start: (B,) int64 first frame of each utterance.
        lens: (B,) int64 frames of each.
        reverse: whether direction 1 walks from the last frame to the first.
        interleaved: whether the directions of a frame lie side by side in memory.
    """

    start: Tensor
    lens: Tensor
    reverse: bool
    interleaved: bool

    @classmethod
    def of_one_length(cls, batch: int, steps: int) -> Layout:
        """Lay out ``batch`` utterances of ``steps`` frames, each direction by itself and already reversed."""
        start = torch.arange(batch) * steps
        return cls(start, torch.full_like(start, steps), reverse=False, interleaved=False)

    @classmethod
    def of_packed(cls, lens: Tensor) -> Layout:
        """Lay out utterances of ``lens`` (B,) frames one after the other, in the order of time for all directions."""
        return cls(lens.cumsum(0) - lens, lens.contiguous(), reverse=True, interleaved=True)

    def unwritten(self, directions: int, frames: int, units: int) -> Tensor:
        """Return a tensor (D, N, units) to be filled."""
        if self.interleaved:
            return unwritten(frames, directions, units).transpose(0, 1)
        return unwritten(directions, frames, units)

    def before(self, h: Tensor, h0: Tensor, hidden: int) -> Tensor:
        """Return the first ``hidden`` units of the state before each frame, (D, N, hidden) contiguous."""
        h, h0 = h[..., :hidden], h0[..., :hidden]
        before = unwritten(*h.shape)
        some = self.lens > 0
        first, last = self.start[some], (self.start + self.lens - 1)[some]
        for d, states in enumerate(h):
            backwards = self.reverse and d == 1
            into, of = (slice(None, -1), slice(1, None)) if backwards else (slice(1, None), slice(None, -1))
            before[d, into] = states[of]
            before[d, last if backwards else first] = h0[d, some]
        return before
