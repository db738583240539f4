"""sBRU in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves log-odds of p in ``kept``."""
    torch.mul(logsigmoid(kept.add_(wx)), -1.0 if mask is None else -mask, out=out)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factor of the log-odds."""
    return (torch.sigmoid(-kept) * (-1.0 if mask is None else -mask),)


CELL = stepped.SteppedCell(gates=1, kept=1, advance=advance, derivatives=derivatives, pull=stepped.pull_ungated)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run an sBRU over sequences; see ``reference.recurrence``. The feedback is on log p = -s."""
    return stepped.run(CELL, wx, -u, h0, mask)
