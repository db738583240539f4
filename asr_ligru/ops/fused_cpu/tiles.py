"""Splits the rows of a batch (one per direction and utterance) into the core's calls."""

from __future__ import annotations

import torch
from torch import Tensor

# A call holds its states and gradients in the processor's cache: more rows than this would fall out of it.
MOST_ROWS = 56


def split_rows(
    directions: int, batch: int, *, shared: bool, threads: int, lengths: Tensor | None = None
) -> list[Tensor]:
    """Share rows out so that every thread gets as many, and with lengths as many frames, as the others.

    Args:
        directions: D.
        batch: B.
        shared: whether one recurrent matrix serves all directions; otherwise a tile keeps to one direction.
        threads: how many tiles run at the same time, >= 1.
        lengths: (B,) int64 steps per utterance, or None when all have the same.

    Returns:
        int64 tensors of row numbers d * B + b, longest utterance first in each; together every row once.
    """
    order = torch.arange(batch) if lengths is None else torch.argsort(lengths, descending=True, stable=True)
    by_direction = [order + d * batch for d in range(directions)]
    groups = [torch.stack(by_direction, 1).flatten()] if shared else by_direction
    tiles = []
    for rows in groups:
        wanted = -(-threads // len(groups))
        count = min(len(rows), wanted * -(-len(rows) // (wanted * MOST_ROWS)))
        tiles += [rows[first::count].contiguous() for first in range(count)]
    return tiles
