"""Norms of the feed-forward projection, over valid frames only.

Their input is packed (``ops.packing``): one row for each valid frame, so padding never reaches a statistic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from torch import Tensor, nn

from asr_ligru.errors import DataError
from asr_ligru.nn.shared_norm import normalise_together
from asr_ligru.registry import Registry

_log = logging.getLogger(__name__)


class FrameBatchNorm(nn.BatchNorm1d):
    """Batch norm over the valid frames of a batch, with own statistics for each channel of each gate.

    Args:
        channels: C, D * G * H or G * H when the directions are shared.
        gamma: initial scale.

    Attributes:
        shared: whether the statistics in training are those of all processes of a run.
        counted: with ``shared``, False where another process has these frames, too.

    Source: Ravanelli et al. 2018 (momentum 0.05). With shared directions the papers' code normalises every frame
    twice, once for each direction; that gives the same mean and differs from this in the running variance by the
    factor of its unbiased estimate only.
    """

    def __init__(self, channels: int, gamma: float = 1.0) -> None:
        super().__init__(channels, momentum=0.05)
        nn.init.constant_(self.weight, gamma)
        self.shared, self.counted = False, True
        self._said_untrained = False

    def forward(self, frames: Tensor) -> Tensor:
        """Normalise packed frames.

        Args:
            frames: (N, C) valid frames.

        Returns:
            (N, C).

        Raises:
            DataError: a training batch of one frame, which has no variance.
        """
        if self.training and self.shared:
            return self._normalise_together(frames)
        if self.training:
            _check_frames(len(frames))
        else:
            self._say_untrained()
        return super().forward(frames)

    def _normalise_together(self, frames: Tensor) -> Tensor:
        y, mean, variance, count = normalise_together(frames, self.weight, self.bias, self.eps, self.counted)
        _check_frames(count)
        statistics = ((self.running_mean, mean), (self.running_var, variance * (count / (count - 1))))
        for running, now in statistics:
            assert running is not None
            running.lerp_(now, self.momentum or 0.0)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        return y

    def _say_untrained(self) -> None:
        """Log once that the statistics are still those of the initialisation."""
        if not self._said_untrained and int(self.num_batches_tracked or 0) == 0:
            _log.warning("batch norm is used in evaluation before any training step: its statistics are mean 0, var 1")
        self._said_untrained = True


def _check_frames(count: int) -> None:
    if count < 2:
        raise DataError(
            f"batch norm needs at least 2 valid frames in a training batch, got {count}",
            fix="use larger batches or cell.norm=layer",
        )


def _batch(channels: int, groups: int, gamma: float) -> nn.Module:
    return FrameBatchNorm(channels, gamma)


def _layer(channels: int, groups: int, gamma: float) -> nn.Module:
    norm = nn.GroupNorm(groups, channels)  # of (N, C) rows: a layer norm over each group
    nn.init.constant_(norm.weight, gamma)
    return norm


def _none(channels: int, groups: int, gamma: float) -> nn.Module:
    return nn.Identity()


NORMS: Registry[Callable[[int, int, float], nn.Module]] = Registry("norm")
NORMS.register("batch")(_batch)
NORMS.register("layer")(_layer)
NORMS.register("none")(_none)


def build_norm(name: str, channels: int, *, groups: int = 1, gamma: float = 1.0) -> nn.Module:
    """Build a norm of packed frames (N, C).

    Args:
        name: "batch"; "layer", over all gates of a frame together; or "none".
        channels: C.
        groups: parts of C that a layer norm treats apart, one for each separate direction.
        gamma: initial scale.

    Raises:
        ConfigError: unknown name.
    """
    return NORMS[name](channels, groups, gamma)
