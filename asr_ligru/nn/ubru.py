"""The unit-wise Bayesian recurrent unit. Its state is the log-odds of a probability."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from asr_ligru.config import CellConfig
from asr_ligru.nn.recurrent import RecurrentLayer
from asr_ligru.ops import lengths
from asr_ligru.ops.packing import Packing
from asr_ligru.ops.ubru.reference import smoother


class UBRULayer(RecurrentLayer):
    """uBRU: a filter, and with ``config.bidirectional`` its smoother. Equations in ``ops.ubru.reference``.

    The smoother is what a second direction is to other cells: it tells each frame of those after it. It works on the
    filter's states with the filter's parameters, so the output has H features either way, ``share_directions`` means
    nothing, and the final state is the filter's. Without it the layer can stream.

    p0, p1 and p2 are trained as log-odds and stay in (0, 1) that way. They begin at 0.5, as in the authors' code: a
    frame is its input's alone, and p0 has no gradient until p1 and p2 have parted.
    """

    cell = "ubru"
    gates = 1
    recurrent_gates = 0
    extras = MappingProxyType({"p0_logit": (0.0,), "p1_logit": (0.0,), "p2_logit": (0.0,)})
    rest = 0.0
    two_way = False
    initial_states = MappingProxyType({"default": 0.0})
    outputs = MappingProxyType({**RecurrentLayer.outputs, "probability": torch.sigmoid})

    def __init__(self, input_size: int, config: CellConfig) -> None:
        super().__init__(input_size, config)
        self.smooths = config.bidirectional

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the log-odds (1, B, H) of p0."""
        return self.get_parameter("p0_logit").expand(batch_size, -1).unsqueeze(0)

    def options(self) -> dict[str, Any]:
        """Return the log-odds of p1 and p2."""
        return {name: parameter for name, parameter in super().options().items() if name != "p0_logit"}

    def read(self, h: Tensor, packing: Packing) -> Tensor:
        """Return what the layer above sees, (N, H), of the filter's states (N, 1, H)."""
        if not self.smooths:
            return super().read(h, packing)
        backwards = lengths.reverse(packing.unpack(h.flatten(1)), packing.lens)
        smoothed = smoother(backwards.unsqueeze(0), **self.options()).squeeze(0)
        return self.output(packing.pack(lengths.reverse(smoothed, packing.lens)))
