"""The simple recurrent networks in the form of the LiGRU papers: normalised projection, shared directions."""

from __future__ import annotations

from asr_ligru.nn.recurrent import KEEP, RecurrentLayer


class RNNTanhLayer(RecurrentLayer):
    """RNN with tanh. Equations in ``ops.rnn_tanh.reference``."""

    cell = "rnn_tanh"
    gates = 1
    rest = 0.0


class RNNReLULayer(RecurrentLayer):
    """RNN with ReLU. Equations in ``ops.rnn_relu.reference``."""

    cell = "rnn_relu"
    gates = 1
    rest = -KEEP
