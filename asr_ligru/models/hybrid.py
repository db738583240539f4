"""The acoustic model of a hybrid system: a recurrent encoder that tells the tied states of an HMM apart.

Source: Bourlard and Morgan 1994 (hybrids); Ravanelli et al. 2018 (arXiv 1803.10225), section 4, for the second head,
over phones; Vanhoucke et al. 2013 (Multiframe deep neural networks) for several frames' states from one step;
Lee and Watanabe 2021 (arXiv 2102.03216) for a CTC head that reads inner layers, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asr_ligru.config import CellConfig, ModelConfig
from asr_ligru.models.network import Network, token_log_probs


class HybridModel(Network):
    """Features in, natural-log probabilities of tied states out, for every frame.

    With frames stacked, one step of the encoder answers for each of the frames it has read.

    Args:
        input_size: F, features a frame.
        num_states: P, tied states.
        num_phones: N, phones with silence.
        vocab_size: V, tokens of a CTC head with the blank, which is 0.
        cell: the recurrent encoder.
        model: what surrounds it.

    Attributes:
        ctc_head: reads tokens, one output for each step of the encoder; None without ``model.ctc_weight``.
    """

    frames_per_output = 1

    def __init__(
        self, input_size: int, num_states: int, num_phones: int, vocab_size: int, cell: CellConfig, model: ModelConfig
    ) -> None:
        super().__init__(input_size, cell, model)
        self.head = nn.Linear(self.encoder.output_size, num_states * model.stack_frames)
        self.phone_head = nn.Linear(self.encoder.output_size, num_phones * model.stack_frames)
        self.ctc_head = nn.Linear(self.encoder.output_size, vocab_size) if model.ctc_weight else None

    def forward(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return log probabilities of the tied states and their lengths.

        Args:
            feats: (B, T, F).
            feat_lens: (B,) int64, frames, 1 <= length <= T.

        Returns:
            log_probs (B, T, P) float32, normalised over P, and ``feat_lens``. What stands behind an utterance's end
            means nothing.
        """
        x, _ = self.encode(feats, feat_lens)
        return self._log_probs(self.head, x, feats.shape[1]), feat_lens

    def both(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return log probabilities of the tied states (B, T, P) and of the phones (B, T, N), as ``forward`` does."""
        x, _ = self.encode(feats, feat_lens)
        time = feats.shape[1]
        return self._log_probs(self.head, x, time), self._log_probs(self.phone_head, x, time)

    def all_heads(self, feats: Tensor, feat_lens: Tensor) -> tuple[Tensor, ...]:
        """Return what each head says, for a model with a CTC head.

        Args:
            feats: (B, T, F).
            feat_lens: (B,) int64, frames, 1 <= length <= T.

        Returns:
            Log probabilities of the tied states (B, T, P) and of the phones (B, T, N), and ``feat_lens``; then those of
            tokens (B, T', V) with T' = ceil(T / stack_frames), their lengths (B,), and more of tokens from each of
            ``inner_layers``.
        """
        assert self.ctc_head is not None
        (x, *inner), lens = self.encode_layers(feats, feat_lens)
        states, phones = (self._log_probs(head, x, feats.shape[1]) for head in (self.head, self.phone_head))
        tokens, *others = [token_log_probs(self.ctc_head, y) for y in (x, *inner)]
        return states, phones, feat_lens, tokens, lens, *others

    def _log_probs(self, head: nn.Linear, x: Tensor, time: int) -> Tensor:
        batch, steps, _ = x.shape
        logits = head(x).reshape(batch, steps * self.stack.factor, -1)[:, :time]
        return torch.log_softmax(logits.float(), dim=-1)
