"""The gated recurrent unit in the form of the LiGRU papers: normalised projection, shared directions."""

from __future__ import annotations

from asr_ligru.nn.recurrent import RecurrentLayer


class GRULayer(RecurrentLayer):
    """GRU over a normalised projection. Equations in ``ops.gru_bn.reference``."""

    cell = "gru_bn"
    gates = 3
    keeps = False
