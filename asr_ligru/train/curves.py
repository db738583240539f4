"""Learning curves for TensorBoard (extra ``viz``); ``metrics.jsonl`` has the same numbers always."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_ligru.errors import EnvironmentError_


class Curves:
    """Writes each epoch's metrics where ``tensorboard --logdir`` finds them.

    Args:
        run_dir: gets the folder ``tensorboard``.

    Raises:
        EnvironmentError_: the extra ``viz`` is not installed.
    """

    def __init__(self, run_dir: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            fix = 'pip install "asr-ligru[viz]", or train.tensorboard=false'
            raise EnvironmentError_("train.tensorboard needs tensorboard", fix=fix) from error
        self._writer: Any = SummaryWriter(str(run_dir / "tensorboard"))

    def add(self, metrics: dict[str, Any]) -> None:
        """Add the numbers of one epoch."""
        for name, value in metrics.items():
            if isinstance(value, (int, float)) and name != "epoch":
                self._writer.add_scalar(name, value, metrics["epoch"])
        self._writer.flush()
