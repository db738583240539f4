"""What every acoustic model has: frame stacking, the recurrent encoder, and how heads over tokens read it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr_ligru.config import CellConfig, ModelConfig
from asr_ligru.errors import ConfigError
from asr_ligru.nn.encoder import build_encoder
from asr_ligru.nn.frontend import StackFrames


class Network(nn.Module):
    """The layers below the heads. A subclass's ``forward(feats, feat_lens)`` returns log probabilities and lengths.

    Args:
        input_size: F, features a frame.
        cell: the recurrent encoder.
        model: what surrounds it.

    Attributes:
        inner_layers: those that a CTC head reads in training beside the last one, numbered from 1.

    Raises:
        ConfigError: settings that contradict each other.
    """

    def __init__(self, input_size: int, cell: CellConfig, model: ModelConfig) -> None:
        super().__init__()
        check_heads(cell, model)
        self.stack = StackFrames(model.stack_frames)
        self.input_dropout = nn.Dropout(model.input_dropout)
        self.encoder = build_encoder(input_size * model.stack_frames, cell)
        self.head_dropout = nn.Dropout(model.head_dropout)
        self.inner_layers = model.inter_ctc_layers if model.inter_ctc_weight else ()
        self._num_layers = cell.num_layers

    def encode(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the heads read.

        Args:
            feats: (B, T, F).
            feat_lens: (B,) int64, frames, 1 <= length <= T.

        Returns:
            (B, T', D * H) and (B,) frames, with T' = ceil(T / stack_frames).
        """
        x, lens = self.stack(self.input_dropout(feats), feat_lens)
        return self.head_dropout(self.encoder.outputs(x, lens)), lens

    def encode_layers(self, feats: Tensor, feat_lens: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what the heads read of the last layer and of each of ``inner_layers``, and its lengths.

        Args:
            feats: (B, T, F).
            feat_lens: (B,) int64, frames, 1 <= length <= T.

        Returns:
            (B, T', D * H) of each, that of ``encode`` first, and (B,) frames.
        """
        if not self.inner_layers:
            x, lens = self.encode(feats, feat_lens)
            return [x], lens
        x, lens = self.stack(self.input_dropout(feats), feat_lens)
        outputs = self.encoder.layer_outputs(x, lens, [self._num_layers, *self.inner_layers])
        return [self.head_dropout(output) for output in outputs], lens

    def num_parameters(self) -> int:
        """Return how many numbers training adjusts."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def token_log_probs(head: nn.Linear, x: Tensor) -> Tensor:
    """Return natural-log probabilities (B, T', V) float32 of a head over tokens that reads ``x`` (B, T', D * H)."""
    return torch.log_softmax(head(x).float(), dim=-1)


def check_heads(cell: CellConfig, model: ModelConfig) -> None:
    """Check the settings of CTC heads against each other.

    Raises:
        ConfigError: they contradict each other.
    """
    layers, inner = model.inter_ctc_layers, range(1, cell.num_layers)
    where = "model.inter_ctc_layers"
    if model.name == "ctc" and model.ctc_weight:
        what = f"model=ctc has one head, which has all the weight: expected 0, got {model.ctc_weight:g}"
        raise ConfigError(what, where="model.ctc_weight", fix="leave it out, or take model=hybrid")
    if model.name == "hybrid" and layers and not model.ctc_weight:
        what = f"without a CTC head nothing reads inner layers: expected none, got {list(layers)}"
        raise ConfigError(what, where=where, fix="model.ctc_weight=0.3, or model.inter_ctc_layers=[]")
    if not set(layers) <= set(inner) or len(set(layers)) < len(layers):
        expected = f"layers from 1 to {inner[-1]}, each once" if inner else "none, as there is one layer"
        fix = f"model.inter_ctc_layers=[{cell.num_layers // 2}]" if inner else "model.inter_ctc_layers=[]"
        raise ConfigError(f"not below the last layer: expected {expected}, got {list(layers)}", where=where, fix=fix)
