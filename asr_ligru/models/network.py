"""What every acoustic model has: frame stacking and the recurrent encoder."""

from __future__ import annotations

from torch import Tensor, nn

from asr_ligru.config import CellConfig, ModelConfig
from asr_ligru.nn.encoder import build_encoder
from asr_ligru.nn.frontend import StackFrames


class Network(nn.Module):
    """The layers below the heads. A subclass's ``forward(feats, feat_lens)`` returns log probabilities and lengths.

    Args:
        input_size: F, features a frame.
        cell: the recurrent encoder.
        model: what surrounds it.
    """

    def __init__(self, input_size: int, cell: CellConfig, model: ModelConfig) -> None:
        super().__init__()
        self.stack = StackFrames(model.stack_frames)
        self.input_dropout = nn.Dropout(model.input_dropout)
        self.encoder = build_encoder(input_size * model.stack_frames, cell)
        self.head_dropout = nn.Dropout(model.head_dropout)

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

    def num_parameters(self) -> int:
        """Return how many numbers training adjusts."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
