"""SLi-GRU on the GPU."""

from __future__ import annotations

from torch import Tensor

from asr_ligru.ops.fused_triton.gated import gated_recurrence


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    """Run the cell over sequences in one Triton kernel; see ``reference.recurrence``."""
    return gated_recurrence("sligru", wx, u, h0, mask, eps=eps)
