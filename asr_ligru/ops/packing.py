"""Padded batches as the rows of one matrix, without the padding.

A feed-forward projection and its norm see valid frames only when their input is packed, and cost nothing for
padding. The recurrence needs sequences again, one for each direction; both ways are one indexing operation, which
also does the reversal.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.ops import lengths


class Packing:
    """Where each valid frame of a padded batch stands. N is the number of valid frames.

    Args:
        lens: int64 (B,), frames, each in [1, T].
        num_frames: T.
        directions: D; the second one runs over the reversed valid part.

    Raises:
        ValueError: wrong ``lens``.
    """

    def __init__(self, lens: Tensor, num_frames: int, directions: int) -> None:
        lengths.check(lens, len(lens), num_frames)
        self.lens, self.num_frames, self.directions = lens, num_frames, directions
        valid = lengths.mask(lens, num_frames)
        self._sequence, self._frame = valid.nonzero(as_tuple=True)  # (N,) each
        self.num_valid = len(self._frame)
        self.full = self.num_valid == valid.numel()
        row = (valid.flatten().cumsum(0) - 1).view_as(valid).masked_fill(~valid, self.num_valid)
        mirror = lengths.reversed_index(lens, num_frames)
        self._row = torch.stack([row, row.gather(1, mirror)][:directions])  # (D, B, T); N in the padding
        mirrored = mirror[self._sequence, self._frame]
        self._place = torch.stack([self._frame, mirrored][:directions], dim=1)  # (N, D)

    def pack(self, x: Tensor) -> Tensor:
        """(B, T, F) to (N, F).

        Raises:
            ValueError: ``x`` is not the batch that the lengths are of, or is on another device.
        """
        if x.device != self.lens.device:
            raise ValueError(f"the batch must be on {self.lens.device} like its lengths, got {x.device}")
        if x.shape[:2] != (len(self.lens), self.num_frames):
            raise ValueError(f"lens must be one for each of {len(x)} sequences, got {len(self.lens)}")
        return x.flatten(0, 1) if self.full else x[self._sequence, self._frame]

    def unpack(self, x: Tensor) -> Tensor:
        """(N, F) to (B, T, F) with zeros in the padding."""
        if self.full:
            return x.view(-1, self.num_frames, x.shape[1])
        return torch.cat((x, x.new_zeros(1, x.shape[1])))[self._row[0]]

    def spread(self, x: Tensor, padding: Tensor) -> Tensor:
        """Lay packed frames out as one sequence for each direction.

        Args:
            x: (N, D * F), or (N, F) for the same frames in all directions.
            padding: (F,) what stands behind each sequence's end.

        Returns:
            (D, B, T, F), the second direction reversed on its valid part.
        """
        own = x.shape[1] // padding.shape[0]  # 1: shared by the directions
        table = x.reshape(-1, padding.shape[0])
        if not self.full:
            table = torch.cat((table, padding.to(table.dtype).unsqueeze(0)))
        if own == 1:
            return table[self._row]
        offset = torch.arange(own, device=x.device).view(own, 1, 1)
        return table[(self._row * own + offset).clamp_max(self.num_valid * own)]

    def collect(self, states: Tensor) -> Tensor:
        """Undo ``spread``: (D, B, T, H) to (N, D * H), both directions in the order of time."""
        direction = torch.arange(self.directions, device=states.device)
        return states[direction, self._sequence.unsqueeze(1), self._place].flatten(1)

    def last(self, states: Tensor) -> Tensor:
        """Return where each direction ends: (N, D, S) to (D, B, S), the last frame forward and the first in reverse."""
        end = self.lens.cumsum(0) - 1
        ends = (end, end + 1 - self.lens)[: self.directions]
        return torch.stack([states[rows, d] for d, rows in enumerate(ends)])
