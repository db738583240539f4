"""Differences over time (deltas), as Kaldi's ``add-deltas`` computes them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

WINDOW = 2  # frames on each side of a first difference


def add_deltas(feats: Tensor, order: int, window: int = WINDOW) -> Tensor:
    """Append first, second, ... differences to the features.

    Args:
        feats: (T, F), T >= 1.
        order: how many orders, >= 0; with 0 the features are returned as they are.
        window: frames on each side that a first difference is taken over, >= 1.

    Returns:
        (T, F * (order + 1)): the features, then their differences in rising order.

    Source: Kaldi, src/feat/feature-functions.cc (DeltaFeatures). A higher order is one longer filter on the features
        with the edge frames repeated, not differences of differences.
    """
    if order == 0:
        return feats
    filters = _filters(order, window)  # (order + 1, 2 * reach + 1)
    reach = filters.shape[1] // 2
    padded = torch.cat([feats[:1].expand(reach, -1), feats, feats[-1:].expand(reach, -1)])
    windows = padded.unfold(0, filters.shape[1], 1)  # (T, F, 2 * reach + 1)
    return torch.einsum("tfw,ow->tof", windows, filters.to(feats.dtype)).reshape(len(feats), -1)


@lru_cache(maxsize=16)
def _filters(order: int, window: int) -> Tensor:
    """Return the filter of each order, row 0 the identity, padded with zeros to the longest."""
    slope = np.arange(-window, window + 1) / np.square(np.arange(-window, window + 1)).sum()
    rows = [np.ones(1)]
    for _ in range(order):
        rows.append(np.convolve(rows[-1], slope))
    padded = [np.pad(row, (len(rows[-1]) - len(row)) // 2) for row in rows]
    return torch.from_numpy(np.stack(padded))
