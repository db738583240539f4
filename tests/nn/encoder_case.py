"""Encoders whose parameters and statistics are those of a trained network: a fresh one hides mistakes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asr_ligru.config import CellConfig
from asr_ligru.nn import CELLS, build_encoder
from asr_ligru.nn.recurrent import Encoder, RecurrentStack

OF_TORCH = {"gru": {"norm": "none", "share_directions": False}, "lstm": {"norm": "none", "share_directions": False}}
OWN = [name for name in CELLS if name not in OF_TORCH]
TWO_WAY = [name for name in OWN if name != "ubru"]  # it has a smoother instead of a second direction
INPUT_SIZE = 4
LENS = torch.tensor([9, 1, 12, 5])


def config(cell: str, **keys: Any) -> CellConfig:
    """Return a small configuration of ``cell``, as its YAML file would complete it."""
    small = {"hidden_size": 5, "num_layers": 3, "dropout": 0.0, **OF_TORCH.get(cell, {})}
    return CellConfig(name=cell, **{**small, **keys})


def encoder(cell: str, *, seed: int = 0, **keys: Any) -> Encoder:
    """Return an encoder in evaluation mode with perturbed parameters and running statistics."""
    torch.manual_seed(seed)
    return perturb(build_encoder(INPUT_SIZE, config(cell, **keys))).eval()


def perturb(module: Encoder) -> Encoder:
    """Move every parameter and statistic away from its initial value."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.3, 3.0)
                layer.num_batches_tracked.fill_(7)
    return module


def batch(dtype: torch.dtype = torch.float32, seed: int = 1) -> Tensor:
    """Return (4, 12, F) whose padding is zero."""
    x = torch.randn(4, 12, INPUT_SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x *= torch.arange(12)[:, None] < LENS[:, None, None]
    return x.to(dtype)


def parts(state: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Return the tensors of a state."""
    return (state,) if isinstance(state, Tensor) else state


def layers(module: Encoder) -> list[Any]:
    """Return the layers of a stack."""
    assert isinstance(module, RecurrentStack)
    return list(module.layers)
