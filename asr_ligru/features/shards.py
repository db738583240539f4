"""Sums over the parts of a corpus that several processes worked on."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def all_reduce(*tables: Tensor) -> None:
    """Sum statistics over the ranks, in place, so that each rank has those of the whole corpus.

    Args:
        tables: of the same shapes on each rank. Where ``torch.distributed`` was not set up they stay as they are.
    """
    if dist.is_available() and dist.is_initialized():
        for table in tables:
            dist.all_reduce(table)
