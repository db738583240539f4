"""The long short-term memory in the form of the LiGRU papers: normalised projection, shared directions."""

from __future__ import annotations

from asr_ligru.nn.recurrent import RecurrentLayer


class LSTMLayer(RecurrentLayer):
    """LSTM over a normalised projection. Equations in ``ops.lstm_bn.reference``."""

    cell = "lstm_bn"
    gates = 4
    keeps = False
    parts = 2
