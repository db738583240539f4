"""GRU over a normalised projection in plain torch with a hand-written backward."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.ops import stepped


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor) -> None:
    """Take one step; leaves (r, z, U_c h, c) in ``kept``."""
    w_r, w_z, w_c = wx.chunk(3, dim=-1)
    r, z, v_c, c = kept.chunk(4, dim=-1)
    r.add_(w_r).sigmoid_()
    z.add_(w_z).sigmoid_()
    torch.addcmul(w_c, r, v_c, out=c).tanh_()
    torch.lerp(c if mask is None else c * mask, h, z, out=out)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
    """Return the factors of the gates, of the state before, and the reset gate."""
    r, z, v_c, c = kept.chunk(4, dim=-1)
    m = 1.0 if mask is None else mask
    k_c = (1 - z) * m * (1 - c * c)
    k_r = k_c * v_c * r * (1 - r)
    k_z = (before - c * m) * z * (1 - z)
    return torch.stack((k_r, k_z, k_c), dim=-2), z, r


def pull(d_state: Tensor, factors: tuple[Tensor, ...], d_wx: Tensor, d_v: Tensor) -> None:
    """Go back through one frame: the reset gate lies between U h and the candidate."""
    k, keep, r = factors
    stepped.pull_gated(d_state, (k, keep), d_wx, d_v)
    d_v.copy_(d_wx)
    d_v[..., -r.shape[-1] :].mul_(r)


CELL = stepped.SteppedCell(gates=3, kept=4, advance=advance, derivatives=derivatives, pull=pull, own_v=True)


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run a GRU over sequences; see ``reference.recurrence``."""
    return stepped.run(CELL, wx, u, h0, mask)
