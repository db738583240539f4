"""Frames beside their neighbours, as Kaldi's ``splice-feats`` puts them."""

from __future__ import annotations

import torch
from torch import Tensor


def splice(feats: Tensor, left: int, right: int) -> Tensor:
    """Join each frame with its neighbours, earliest first; beyond the edges the edge frame is repeated.

    Args:
        feats: (T, F), T >= 1.
        left: frames of context before, >= 0.
        right: frames of context after, >= 0.

    Returns:
        (T, F * (left + 1 + right)).
    """
    if left == right == 0:
        return feats
    T = len(feats)
    frames = torch.arange(T)[:, None] + torch.arange(-left, right + 1)
    return feats[frames.clamp_(0, T - 1)].reshape(T, -1)
