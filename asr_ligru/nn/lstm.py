"""The long short-term memory in the form of the LiGRU papers: normalised projection, shared directions."""

from __future__ import annotations

from types import MappingProxyType

from asr_ligru.nn.recurrent import RecurrentLayer


class LSTMLayer(RecurrentLayer):
    """LSTM over a normalised projection. Equations in ``ops.lstm_bn.reference``."""

    cell = "lstm_bn"
    gates = 4
    rest = 0.0
    parts = 2


class LSTMPeepholeLayer(LSTMLayer):
    """LSTM whose gates see the cell. Equations in ``ops.lstm_peephole.reference``."""

    cell = "lstm_peephole"
    extras = MappingProxyType({"peepholes": (0.0, 0.0, 0.0)})
