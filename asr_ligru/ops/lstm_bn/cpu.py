"""LSTM on the compiled CPU core."""

from __future__ import annotations

from torch import Tensor

from asr_ligru.ops.fused_cpu.gated import gated_recurrence


def recurrence(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None) -> Tensor:
    """Run the cell over sequences in float32; see ``reference.recurrence``."""
    return gated_recurrence("lstm_bn", wx, u, h0, mask)
