"""LiBRU with the geometric mean in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves (a, z) in ``kept``."""
    a, z = kept.add_(wx).chunk(2, dim=-1)
    c = logsigmoid(-a).neg_()
    if mask is not None:
        c.mul_(mask)
    torch.lerp(c, h, z.sigmoid_(), out=out)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factors of candidate and gate, and of the state before."""
    a, z = kept.chunk(2, dim=-1)
    m = 1.0 if mask is None else mask
    c = logsigmoid(-a).neg_() * m
    return torch.stack(((1 - z) * torch.sigmoid(a) * m, (before - c) * z * (1 - z)), dim=-2), z


CELL = stepped.SteppedCell(gates=2, kept=2, advance=advance, derivatives=derivatives)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a geometric LiBRU over sequences; see ``reference.recurrence``."""
    return stepped.run(CELL, wx, u, h0, mask)
