"""RNN with tanh in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves the state before the mask in ``kept``."""
    kept.add_(wx).tanh_()
    torch.mul(kept, 1.0 if mask is None else mask, out=out)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factor of the new state."""
    m = 1.0 if mask is None else mask
    return ((1 - kept * kept) * m,)


CELL = stepped.SteppedCell(gates=1, kept=1, advance=advance, derivatives=derivatives, pull=stepped.pull_ungated)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run an RNN over sequences; see ``reference.recurrence``."""
    return stepped.run(CELL, wx, u, h0, mask)
