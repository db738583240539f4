"""LiBRU with the arithmetic mean in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves (a, g) in ``kept``."""
    a, g = kept.add_(wx).chunk(2, dim=-1)
    log_c = logsigmoid(a)
    if mask is not None:
        log_c.mul_(mask)
    torch.logaddexp(logsigmoid(g).sub_(h), logsigmoid(-g).add_(log_c), out=out)
    out.neg_()


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factors of candidate and gate, and of the state before."""
    a, g = kept.chunk(2, dim=-1)
    m = 1.0 if mask is None else mask
    share = torch.sigmoid(g - before - logsigmoid(a) * m)  # the old probability's share of the sum
    return torch.stack(((share - 1) * torch.sigmoid(-a) * m, torch.sigmoid(g) - share), dim=-2), share


CELL = stepped.SteppedCell(gates=2, kept=2, advance=advance, derivatives=derivatives)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run an arithmetic LiBRU over sequences; see ``reference.recurrence``. The feedback is on log p = -s."""
    return stepped.run(CELL, wx, -u, h0, mask)
