"""What a run records after each epoch, without what a clock says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TIMES = ("train_s", "data_wait")


def metrics_of(run_dir: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's ``metrics.jsonl``; two runs that do the same have the same ones."""
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines]
