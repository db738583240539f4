"""LSTM over a normalised projection in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, state: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves (i, f, candidate, o) in ``kept``."""
    i, f, a, o = kept.add_(wx).chunk(4, dim=-1)
    kept[..., : 2 * i.shape[-1]].sigmoid_()
    a.tanh_()
    o.sigmoid_()
    h, c = out.chunk(2, dim=-1)
    torch.mul(i, a if mask is None else a * mask, out=c)
    c.addcmul_(f, state.chunk(2, dim=-1)[1])
    torch.mul(o, torch.tanh(c), out=h)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factors of the gates, of h towards c, and the forget gate."""
    i, f, a, o = kept.chunk(4, dim=-1)
    m = 1.0 if mask is None else mask
    tanh_c = torch.tanh(after.chunk(2, dim=-1)[1])
    k_i = a * m * i * (1 - i)
    k_f = before.chunk(2, dim=-1)[1] * f * (1 - f)
    k_a = i * m * (1 - a * a)
    return torch.stack((k_i, k_f, k_a), dim=-2), tanh_c * o * (1 - o), o * (1 - tanh_c * tanh_c), f


def pull(d_state: Tensor, factors: tuple[Tensor, ...], d_wx: Tensor, d_v: Tensor) -> None:
    """Go back through one frame: the output gate takes from h, the others from the cell."""
    k, k_o, towards_c, f = factors
    d_h, d_c = d_state.chunk(2, dim=-1)
    d_c.addcmul_(d_h, towards_c)
    gates = torch.unflatten(d_wx, -1, (4, f.shape[-1]))
    torch.mul(k, d_c.unsqueeze(-2), out=gates[..., :3, :])
    torch.mul(k_o, d_h, out=gates[..., 3, :])
    d_c.mul_(f)
    d_h.zero_()


CELL = stepped.SteppedCell(gates=4, kept=4, advance=advance, derivatives=derivatives, pull=pull)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run an LSTM over sequences; see ``reference.recurrence``."""
    return stepped.run(CELL, wx, u, h0, mask)
