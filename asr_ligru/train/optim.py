"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from asr_ligru.config import TrainConfig


def build_optimizer(parameters: Iterable[Tensor], config: TrainConfig, lr: float) -> torch.optim.Optimizer:
    """Return the configured optimiser with learning rate ``lr``."""
    decay = config.weight_decay
    betas = (config.betas[0], config.betas[1])
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr, betas=betas, weight_decay=decay, fused=True)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr, betas=betas, weight_decay=decay, fused=True)
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr, alpha=config.alpha, weight_decay=decay)
    return torch.optim.SGD(parameters, lr, momentum=config.momentum, weight_decay=decay)


@dataclass
class Schedule:
    """The factor on the learning rate, from how far training is and from the development set.

    Attributes:
        config: names the schedule and its constants.
        factor: what new-bob and plateau have come down to.
        best: lowest development metric so far; new-bob compares with the previous one instead.
        waited: evaluations since an improvement.
    """

    config: TrainConfig
    factor: float = 1.0
    best: float = field(default=math.inf)
    waited: int = 0

    def at(self, progress: float) -> float:
        """Return the factor when ``progress`` (0 to 1) of all updates is done."""
        if self.config.schedule != "warmup_cosine":
            return self.factor
        warmup = self.config.warmup_fraction
        if progress < warmup:
            return progress / warmup
        return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1e-9, 1 - warmup)))

    def observe(self, metric: float) -> None:
        """Take note of a development metric (lower is better).

        Source: new-bob as in pytorch-kaldi (halve when the relative improvement is below the threshold).
        """
        patience = {"newbob": 0, "plateau": self.config.patience}.get(self.config.schedule)
        if patience is None:
            return
        improved = not math.isfinite(self.best) or self.best - metric >= self.config.newbob_threshold * self.best
        self.waited = 0 if improved else self.waited + 1
        if self.waited > patience:
            self.factor *= self.config.newbob_factor
            self.waited = 0
        newbob = self.config.schedule == "newbob"
        self.best = metric if newbob else min(self.best, metric)

    def state(self) -> dict[str, Any]:
        """Return what continues the schedule, JSON-ready."""
        return {"factor": self.factor, "best": None if math.isinf(self.best) else self.best, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from ``state``."""
        self.factor, self.waited = state["factor"], state["waited"]
        self.best = math.inf if state["best"] is None else state["best"]
