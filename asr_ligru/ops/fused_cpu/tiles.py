"""Splits the rows of a batch (one per direction and utterance) into the core's calls."""

from __future__ import annotations

import torch
from torch import Tensor

# A call holds its states and gradients in the processor's cache: more rows than this would fall out of it.
MOST_ROWS = 56


def split_rows(directions: int, lens: Tensor, *, shared: bool, threads: int) -> list[Tensor]:
    """Share rows out so that every thread gets about as many rows and frames as the others.

    Args:
        directions: D.
        lens: (B,) int64 frames of each utterance.
        shared: whether one recurrent matrix serves all directions; otherwise a tile keeps to one direction.
        threads: how many tiles run at the same time, >= 1.

    Returns:
        int64 tensors of row numbers d * B + b, longest utterance first in each; together every row once.
    """
    order = torch.argsort(lens, descending=True, stable=True)
    by_direction = torch.stack([order + d * len(lens) for d in range(directions)], dim=1)
    groups = [by_direction.flatten()] if shared else list(by_direction.t())
    tiles = []
    for rows in groups:
        wanted = -(-threads // len(groups))
        count = min(len(rows), wanted * -(-len(rows) // (wanted * MOST_ROWS)))
        tiles += [rows[first::count].contiguous() for first in range(count)]
    return tiles
