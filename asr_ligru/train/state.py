"""Where a run stands: what a checkpoint holds beside tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class RunState:
    """Counters and metrics of a run.

    Attributes:
        epoch: the epoch under way, from 1.
        position: batches of it that are done.
        step: updates made.
        loss_sum: sum of this epoch's batch losses, and ``loss_count`` how many.
        grad_norm: of the last update, before clipping, and ``grad_max`` the largest of this epoch.
        skipped: batches left out because something was not finite.
        lost_shards: shards of the training set that cannot be used, and why.
        train_s: seconds spent in training, over all sittings.
        epoch_s: those of this epoch, and ``wait_s`` how many of them the model waited for data.
        metrics: one record for each finished epoch.
    """

    epoch: int = 1
    position: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    grad_norm: float = 0.0
    grad_max: float = 0.0
    skipped: int = 0
    lost_shards: dict[str, str] = field(default_factory=dict)
    train_s: float = 0.0
    epoch_s: float = 0.0
    wait_s: float = 0.0
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self.epoch, self.position = epoch, 0
        self.loss_sum, self.loss_count, self.grad_max = 0.0, 0, 0.0
        self.epoch_s, self.wait_s = 0.0, 0.0

    def spent(self, seconds: float, waiting_s: float) -> None:
        """Count the time that one batch took, and how much of it was waiting for the batch."""
        self.train_s += seconds
        self.epoch_s += seconds
        self.wait_s += waiting_s

    def evaluated(self) -> list[dict[str, Any]]:
        """Return the records with a development WER, best first (of equals, the latest)."""
        return sorted((m for m in self.metrics if "dev_wer" in m), key=lambda m: (m["dev_wer"], -m["epoch"]))

    def best_wer(self) -> float | None:
        """Return the lowest development WER so far, a fraction."""
        records = self.evaluated()
        return records[0]["dev_wer"] if records else None

    def last_wer(self) -> float:
        """Return the latest development WER, a fraction."""
        return float(next(m["dev_wer"] for m in reversed(self.metrics) if "dev_wer" in m))

    def since_best(self) -> int:
        """Return how many evaluations ago the best one was."""
        records = [m["dev_wer"] for m in self.metrics if "dev_wer" in m]
        return len(records) - 1 - records.index(min(records)) if records else 0

    def to_json(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return asdict(self)
