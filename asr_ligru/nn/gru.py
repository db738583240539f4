"""Gated recurrent units in the form of the LiGRU papers: normalised projection, shared directions."""

from __future__ import annotations

from types import MappingProxyType

from asr_ligru.nn.recurrent import RecurrentLayer


class GRULayer(RecurrentLayer):
    """GRU over a normalised projection. Equations in ``ops.gru_bn.reference``."""

    cell = "gru_bn"
    gates = 3
    rest = 0.0


class GRUResetBeforeLayer(GRULayer):
    """GRU whose reset gate acts before U. Equations in ``ops.gru_reset_before.reference``."""

    cell = "gru_reset_before"


class GRU1Layer(RecurrentLayer):
    """GRU with gates of state and bias. Equations in ``ops.gru1.reference``."""

    cell = "gru1"
    gates = 1
    recurrent_gates = 3
    extras = MappingProxyType({"bias": (0.0, 0.0)})
    rest = 0.0


class GRU2Layer(RecurrentLayer):
    """GRU with gates of the state. Equations in ``ops.gru2.reference``."""

    cell = "gru2"
    gates = 1
    recurrent_gates = 3
    rest = 0.0


class GRU3Layer(RecurrentLayer):
    """GRU with constant gates. Equations in ``ops.gru3.reference``."""

    cell = "gru3"
    gates = 1
    extras = MappingProxyType({"bias": (0.0, 0.0)})
    rest = 0.0


class MGULayer(RecurrentLayer):
    """Minimal gated unit. Equations in ``ops.mgu.reference``."""

    cell = "mgu"
    gates = 2
    rest = 0.0


class MGRULayer(RecurrentLayer):
    """GRU without reset gate. Equations in ``ops.mgru.reference``."""

    cell = "mgru"
    gates = 2
