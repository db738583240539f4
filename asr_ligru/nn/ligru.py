"""The light gated recurrent unit and its stabilised form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asr_ligru.config import CellConfig
from asr_ligru.nn.recurrent import RecurrentLayer, RecurrentStack


class LiGRULayer(RecurrentLayer):
    """LiGRU: one keep gate, a ReLU candidate. Equations in ``ops.ligru.reference``."""

    cell = "ligru"
    gates = 2


class SLiGRULayer(RecurrentLayer):
    """SLi-GRU: a LiGRU whose state cannot grow without bound. Equations in ``ops.sligru.reference``."""

    cell = "sligru"
    gates = 2

    def __init__(self, input_size: int, config: CellConfig) -> None:
        super().__init__(input_size, config)
        self.eps = config.recurrent_eps

    def options(self) -> dict[str, Any]:
        """Return the epsilon of the recurrent layer norm."""
        return {"eps": self.eps}


def growth(u: Tensor, h_max: float) -> float:
    """Return the largest factor by which one LiGRU step can stretch a change of its state.

    Above 1 the state and its gradient may grow without bound over a long utterance; plain LiGRU starts at 2.1 to 2.6
    and its gates learn to hold it. A value that rises in training announces divergence: clip gradients, or use
    SLi-GRU.

    Args:
        u: (D or 1, 2H, H) recurrent weights, candidate first.
        h_max: largest state seen.

    Returns:
        h_max / 4 * |Uz| + |Uh| in spectral norms, the larger of the directions.

    Source: Moumen and Parcollet 2023 (arXiv 2302.10144), the bound on the recurrent Jacobian.
    """
    u_h, u_z = u.detach().chunk(2, dim=1)
    bound = torch.linalg.matrix_norm(u_z, ord=2) * (h_max / 4) + torch.linalg.matrix_norm(u_h, ord=2)
    return float(bound.max())


@torch.no_grad()
def layer_growth(encoder: RecurrentStack, x: Tensor, lens: Tensor) -> list[float]:
    """Return ``growth`` of each layer, for the states it reaches on a batch. Runs the encoder as it stands.

    Args:
        encoder: of LiGRU layers.
        x: (B, T, F).
        lens: (B,) int64 frames.
    """
    peaks: list[float] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out: peaks.append(float(out[0].max()))) for layer in encoder.layers
    ]
    try:
        encoder(x, lens)
    finally:
        for hook in hooks:
            hook.remove()
    weights = (layer.get_parameter("u") for layer in encoder.layers)
    return [growth(u, peak) for u, peak in zip(weights, peaks, strict=True)]
