"""What stands between the features and the recurrent encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr_ligru.ops.lengths import mask


class StackFrames(nn.Module):
    """Concatenate each ``factor`` successive frames into one, which divides the frame rate.

    Args:
        factor: frames that become one, >= 1.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Stack frames; an incomplete last group is filled with zeros, alone as in a padded batch.

        Args:
            x: (B, T, F); what stands behind an utterance's end is not read.
            lens: (B,) int64 frames.

        Returns:
            (B, ceil(T / factor), factor * F) and (B,) ceil(lens / factor).
        """
        if self.factor == 1:
            return x, lens
        batch, time, size = x.shape
        x = x.masked_fill(~mask(lens, time).unsqueeze(2), 0.0)
        x = torch.nn.functional.pad(x, (0, 0, 0, -time % self.factor))
        return x.reshape(batch, -1, size * self.factor), (lens + self.factor - 1) // self.factor

    def output_length(self, num_frames: int) -> int:
        """Return the number of stacked frames that ``num_frames`` give."""
        return -(-num_frames // self.factor)
