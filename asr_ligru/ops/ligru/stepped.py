"""LiGRU in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves (c, z) in ``kept``."""
    c, z = kept.add_(wx).chunk(2, dim=-1)
    c.relu_()
    if mask is not None:
        c.mul_(mask)
    torch.lerp(c, h, z.sigmoid_(), out=out)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factors of candidate and gate, and of the state before."""
    c, z = kept.chunk(2, dim=-1)
    free = 1 - z
    k_c = free * (c > 0)
    k_z = (before - c).mul_(z).mul_(free)
    return torch.stack((k_c if mask is None else k_c.mul_(mask), k_z), dim=-2), z


CELL = stepped.SteppedCell(gates=2, kept=2, advance=advance, derivatives=derivatives)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a LiGRU over sequences; see ``reference.recurrence``."""
    return stepped.run(CELL, wx, u, h0, mask)
