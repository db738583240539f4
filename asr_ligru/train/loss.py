"""Losses of an utterance: connectionist temporal classification, and cross-entropy of its frames.

Source: Graves et al. 2006 (CTC); Lee and Watanabe 2021 (arXiv 2102.03216), eq. 13 to 15 (CTC of inner layers).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asr_ligru import ranks
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


def with_inner(last: Tensor, inner: Sequence[Tensor], weight: float) -> Tensor:
    """Return the losses (B,) of the last layer mixed with those of inner ones.

    Args:
        last: (B,) of the last layer.
        inner: (B,) of each inner layer; none leave ``last`` as it is.
        weight: share of the inner layers' mean, in [0, 1].
    """
    return (1 - weight) * last + weight * torch.stack(list(inner)).mean(0) if inner else last


def frame_losses(log_probs: Tensor, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of each utterance's frames.

    Args:
        log_probs: (B, T, P) natural log, normalised.
        batch: its tokens are the classes of the frames; frames behind ``token_lens`` do not count.
        smoothing: share of each target that is spread over all classes, in [0, 1).

    Returns:
        (B,) float32, nats, summed over frames.

    Source: Szegedy et al. 2016 (arXiv 1512.00567), section 7, for smoothing.
    """
    targets = batch.tokens.to(log_probs.device)
    time = targets.shape[1]
    valid = torch.arange(time) < batch.token_lens[:, None]
    rows = log_probs[:, :time].float()
    picked = rows.gather(2, targets[..., None])[..., 0]
    if smoothing:
        picked = (1 - smoothing) * picked + smoothing * rows.mean(2)
    return -picked.masked_fill(~valid.to(log_probs.device), 0.0).sum(1)


def per_token(losses: Tensor, batch: Batch, counted: bool = True) -> tuple[Tensor, Tensor]:
    """Return the batch's loss: nats for each token, so that long and short batches weigh alike.

    Where several processes have a part of the batch each, the tokens are those of all parts.

    Args:
        losses: (B,) of the utterances.
        batch: the part of this process.
        counted: False where this part is another process' too.

    Returns:
        What this part adds to the loss, with gradient; and the loss, without.
    """
    total, tokens = losses.sum(), batch.token_lens.sum()
    if not counted:
        total, tokens = total * 0.0, tokens * 0
    sums = torch.stack([total.detach(), tokens.to(total)])
    ranks.add_up(sums)
    nats, number = sums[0], sums[1].clamp(min=1)
    return total / number, nats / number
