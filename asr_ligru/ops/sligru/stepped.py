"""SLi-GRU in plain torch with a hand-written backward."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from asr_ligru.ops import stepped
from asr_ligru.ops.ligru import stepped as ligru


def advance(wx: Tensor, kept: Tensor, h: Tensor, mask: Tensor | None, out: Tensor, *, eps: float) -> None:
    """Take one step; leaves (U h, c, z) in ``kept``."""
    v, gates = kept.chunk(2, dim=-1)
    gates.copy_(torch.layer_norm(v, v.shape[-1:], eps=eps))
    ligru.advance(wx, gates, h, mask, out)


def derivatives(kept: Tensor, before: Tensor, after: Tensor, mask: Tensor | None, *, eps: float) -> tuple[Tensor, ...]:
    """Return the factors of the gates and of the state before, then U h and what its norm has derived."""
    v, gates = kept.chunk(2, dim=-1)
    _, mean, rstd = torch.native_layer_norm(v, v.shape[-1:], None, None, eps)
    return *ligru.derivatives(gates, before, after, mask), v, mean, rstd


def pull(d_state: Tensor, factors: tuple[Tensor, ...], d_wx: Tensor, d_v: Tensor) -> None:
    """Go back through one frame: the layer norm lies between U h and the gates."""
    k, keep, v, mean, rstd = factors
    stepped.pull_gated(d_state, (k, keep), d_wx, d_v)
    only_input = [True, False, False]
    d_v.copy_(torch.ops.aten.native_layer_norm_backward(d_wx, v, v.shape[-1:], mean, rstd, None, None, only_input)[0])


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    """Run an SLi-GRU over sequences; see ``reference.recurrence``."""
    cell = stepped.SteppedCell(
        gates=2,
        kept=4,
        advance=partial(advance, eps=eps),
        derivatives=partial(derivatives, eps=eps),
        pull=pull,
        own_v=True,
    )
    return stepped.run(cell, wx, u, h0, mask)
