"""M-GRU in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves (c before the mask, z) in ``kept``."""
    c, z = kept.add_(wx).chunk(2, dim=-1)
    c.tanh_()
    torch.lerp(c if mask is None else c * mask, h, z.sigmoid_(), out=out)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factors of candidate and gate, and of the state before."""
    c, z = kept.chunk(2, dim=-1)
    m = 1.0 if mask is None else mask
    free = 1 - z
    return torch.stack((free * (1 - c * c) * m, (before - c * m) * z * free), dim=-2), z


CELL = stepped.SteppedCell(gates=2, kept=2, advance=advance, derivatives=derivatives)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run an M-GRU over sequences; see ``reference.recurrence``."""
    return stepped.run(CELL, wx, u, h0, mask)
