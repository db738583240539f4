"""The weights of a recurrent layer as they are in evaluation, when a batch norm is nothing but a scale and a shift."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.errors import ConfigError
from asr_ligru.nn.norm import FrameBatchNorm
from asr_ligru.nn.recurrent import RecurrentLayer
from asr_ligru.nn.ubru import UBRULayer


@torch.no_grad()
def projection(layer: RecurrentLayer) -> tuple[Tensor, Tensor]:
    """Return weight (own * G * H, F) and bias of a layer's projection, a batch norm included.

    Args:
        layer: in evaluation mode; own is 2 when its directions have weights of their own, else 1.

    Raises:
        ConfigError: the layer cannot be exported.
    """
    if isinstance(layer, UBRULayer):
        raise ConfigError("cell ubru cannot be exported", fix="export a model of another cell")
    norm, weight = layer.norm, layer.w.weight
    bias = torch.zeros(len(weight)) if layer.w.bias is None else layer.w.bias
    if isinstance(norm, FrameBatchNorm):
        mean, var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        scale = norm.weight / torch.sqrt(var + norm.eps)
        return weight * scale.unsqueeze(1), (bias - mean) * scale + norm.bias
    return weight, bias
