"""Connectionist temporal classification.

Source: Graves et al. 2006.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asr_ligru.typing import Batch

BLANK_ID = 0


def ctc_losses(log_probs: Tensor, log_prob_lens: Tensor, batch: Batch) -> Tensor:
    """Return the loss of each utterance.

    Args:
        log_probs: (B, T', V) natural log, normalised.
        log_prob_lens: (B,) frames.
        batch: its tokens were checked when the corpus was loaded.

    Returns:
        (B,) float32, nats; infinite where an utterance has fewer frames than its tokens need.
    """
    return torch.nn.functional.ctc_loss(
        log_probs.float().transpose(0, 1),
        batch.tokens.to(log_probs.device),
        log_prob_lens,
        batch.token_lens,
        blank=BLANK_ID,
        reduction="none",
    )


def per_token(losses: Tensor, batch: Batch) -> Tensor:
    """Return the batch's loss: nats for each token, so that long and short batches weigh alike."""
    return losses.sum() / batch.token_lens.sum().clamp(min=1)
