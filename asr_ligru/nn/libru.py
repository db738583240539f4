"""The light Bayesian recurrent units and the one without gate. Their state is s = -log p, with p a probability."""

from __future__ import annotations

import math
from types import MappingProxyType

import torch
from torch import Tensor

from asr_ligru.nn.recurrent import RecurrentLayer


def _probability(s: Tensor) -> Tensor:
    """Return p = exp(-s)."""
    return torch.exp(-s)


class _LiBRULayer(RecurrentLayer):
    """What these units share: the unbiased state p = 0.5 to begin with, and p as an output."""

    gates = 2
    initial_states = MappingProxyType({"default": math.log(2.0), "zeros": 0.0, "uniform": math.log(2.0)})
    outputs = MappingProxyType({**RecurrentLayer.outputs, "probability": _probability})


class LiBRUArithLayer(_LiBRULayer):
    """LiBRU, arithmetic mean of probabilities: the paper's. Equations in ``ops.libru_arith.reference``."""

    cell = "libru_arith"


class LiBRUHarmLayer(_LiBRULayer):
    """LiBRU, harmonic mean of probabilities. Equations in ``ops.libru_harm.reference``."""

    cell = "libru_harm"


class LiBRUGeoLayer(_LiBRULayer):
    """LiBRU, geometric mean of probabilities. Equations in ``ops.libru_geo.reference``."""

    cell = "libru_geo"


class SBRULayer(_LiBRULayer):
    """Simple Bayesian unit, without gate. Equations in ``ops.sbru.reference``."""

    cell = "sbru"
    gates = 1
