"""The language model's network: what comes next, from everything before.

Source: Mikolov et al. 2010 (Recurrent neural network based language model); Sundermeyer et al. 2012 for gated cells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from asr_ligru.lm.settings import LmConfig
from asr_ligru.nn.encoder import build_encoder
from asr_ligru.nn.recurrent import State
from asr_ligru.ops import lengths

BOUNDARY = 0  # the id that stands before each sentence and is predicted behind it; acoustic models' blank


class LmNetwork(nn.Module):
    """Tokens in, their natural-log probabilities out.

    Args:
        vocab_size: V of the tokenizer.
        config: sizes and cell.
    """

    def __init__(self, vocab_size: int, config: LmConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.input_dropout = nn.Dropout(config.dropout)
        self.encoder = build_encoder(config.embedding_size, config.cell)
        self.head_dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.output_size, vocab_size)

    def forward(self, tokens: Tensor, token_lens: Tensor) -> Tensor:
        """Return how probable sentences are. A sentence's result does not depend on its neighbours or on padding.

        Args:
            tokens: (B, U) int64 ids, never ``BOUNDARY`` within a sentence and always behind it.
            token_lens: (B,) int64, 0 <= length <= U.

        Returns:
            (B, U + 1): of each token after those before it, then of the sentence's end; zeros behind that.
        """
        lens = token_lens + 1
        hidden = self.encoder.outputs(self.input_dropout(self.embedding(pad(tokens, (1, 0)))), lens)
        log_probs = torch.log_softmax(self.head(self.head_dropout(hidden)), dim=-1)
        picked = log_probs.gather(2, pad(tokens, (0, 1))[..., None])[..., 0]
        return picked.masked_fill(~lengths.mask(lens, picked.shape[1]), 0.0)

    def step(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read one token more of each sentence.

        Args:
            tokens: (B,) int64; ``BOUNDARY`` at the beginning.
            state: as the step before returned it; None at the beginning.

        Returns:
            (B, V) natural-log probabilities of what comes next, ``BOUNDARY`` being the end, and the next step's state.
        """
        hidden, state = self.encoder.step(self.embedding(tokens), state)
        return torch.log_softmax(self.head(hidden), dim=-1), state

    def num_parameters(self) -> int:
        """Return how many numbers training adjusts."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
