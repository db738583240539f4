"""Lengths of padded batches: masks, and reversal of the valid part only.

Reversing a padded sequence as a whole would feed its padding to the reverse direction first; every function here
therefore knows how many frames of each row are valid.
"""

from __future__ import annotations

import torch
from torch import Tensor


def check(lens: Tensor, batch_size: int, num_frames: int) -> None:
    """Check the lengths of a padded batch.

    Args:
        lens: int64 (B,), frames.
        batch_size: B.
        num_frames: T, frames of the padded batch.

    Raises:
        ValueError: no sequences, wrong shape or dtype, or a length outside [1, T].
    """
    if batch_size == 0:
        raise ValueError("a batch must have at least 1 sequence, got 0")
    if lens.dtype != torch.int64 or lens.shape != (batch_size,):
        raise ValueError(f"lens must be int64 of shape ({batch_size},), got {lens.dtype} of {tuple(lens.shape)}")
    shortest, longest = (int(x) for x in lens.aminmax())
    if shortest < 1 or longest > num_frames:
        raise ValueError(f"lens must lie in [1, {num_frames}], got {shortest} to {longest}")


def mask(lens: Tensor, num_frames: int) -> Tensor:
    """Return which frames are valid.

    Args:
        lens: int64 (B,), frames.
        num_frames: T.

    Returns:
        bool (B, T), true at the first ``lens[b]`` frames of row b.
    """
    return torch.arange(num_frames, device=lens.device) < lens.unsqueeze(1)


def reversed_index(lens: Tensor, num_frames: int) -> Tensor:
    """Return the frame that stands at each place once the valid part is reversed.

    Args:
        lens: int64 (B,), frames.
        num_frames: T.

    Returns:
        int64 (B, T): ``lens[b] - 1 - t`` in the valid part, t in the padding.
    """
    frames = torch.arange(num_frames, device=lens.device)
    mirrored = lens.unsqueeze(1) - 1 - frames
    return torch.where(mirrored >= 0, mirrored, frames)


def reverse(x: Tensor, lens: Tensor) -> Tensor:
    """Reverse the valid part of each sequence in time; padding stays where it is.

    Args:
        x: (B, T, ...).
        lens: int64 (B,), frames.

    Returns:
        A tensor like ``x``. Applied twice it gives ``x`` back.
    """
    index = reversed_index(lens, x.shape[1])
    return x[torch.arange(x.shape[0], device=x.device).unsqueeze(1), index]
