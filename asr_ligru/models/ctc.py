"""The CTC acoustic model: frame stacking, recurrent encoder, linear head.

Source: Graves et al. 2006 (CTC); Lee and Watanabe 2021 (arXiv 2102.03216) for the head that reads inner layers, too.
"""

from __future__ import annotations

from torch import Tensor, nn

from asr_ligru.config import CellConfig, ModelConfig
from asr_ligru.models.network import Network, token_log_probs


class CtcModel(Network):
    """Features in, natural-log token probabilities out.

    Args:
        input_size: F, features a frame.
        vocab_size: V, tokens with the blank, which is 0.
        cell: the recurrent encoder.
        model: what surrounds it.
    """

    def __init__(self, input_size: int, vocab_size: int, cell: CellConfig, model: ModelConfig) -> None:
        super().__init__(input_size, cell, model)
        self.head = nn.Linear(self.encoder.output_size, vocab_size)

    def forward(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return log probabilities and their lengths.

        Args:
            feats: (B, T, F).
            feat_lens: (B,) int64, frames, 1 <= length <= T.

        Returns:
            log_probs (B, T', V) float32, normalised over V, and log_prob_lens (B,) with
            T' = ceil(T / stack_frames). What stands behind an utterance's end means nothing.
        """
        x, lens = self.encode(feats, feat_lens)
        return token_log_probs(self.head, x), lens

    def every_layer(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, ...]:
        """Return what ``forward`` does, then log probabilities of the same shape from each of ``inner_layers``."""
        (x, *inner), lens = self.encode_layers(feats, feat_lens)
        return token_log_probs(self.head, x), lens, *(token_log_probs(self.head, y) for y in inner)

    @property
    def frames_per_output(self) -> int:
        """How many frames of features one output stands for."""
        return self.stack.factor

    def output_length(self, num_frames: int) -> int:
        """Return T' for an utterance of ``num_frames`` frames."""
        return self.stack.output_length(num_frames)
