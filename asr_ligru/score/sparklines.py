"""Learning curves in letters, for a terminal that watches runs train."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.score.runs import Run, read_metrics

_LEVELS = "▁▂▃▄▅▆▇█"
_WIDTH = 48
_CURVES = (("dev WER %", "dev_wer", 100.0), ("dev loss", "dev_loss", 1.0), ("train loss", "train_loss", 1.0))


def run_curves(run: Run) -> str:
    """Return a run's curves, one a line: its shape over the epochs, the first and last value and the lowest."""
    try:
        metrics = read_metrics(run.folder)
    except DataError as error:
        return printable(f"  {error.what}")
    lines = []
    for title, key, factor in _CURVES:
        values = [factor * m[key] for m in metrics if isinstance(m.get(key), (int, float)) and math.isfinite(m[key])]
        if values:
            said = f"{values[0]:.4g} to {values[-1]:.4g}, lowest {min(values):.4g}"
            lines.append(f"  {title:10} {sparkline(values)} {said}")
    return "\n".join(lines)


def sparkline(values: Sequence[float], width: int = _WIDTH) -> str:
    """Return a letter for each value, or for the mean of neighbours where there are more than ``width``.

    Args:
        values: at least one, finite; the lowest is drawn lowest, the highest highest.
        width: most letters.
    """
    count = min(width, len(values))
    bounds = [len(values) * n // count for n in range(count + 1)]
    means = [sum(values[low:high]) / (high - low) for low, high in itertools.pairwise(bounds)]
    low, high = min(means), max(means)
    scale = (len(_LEVELS) - 1) / (high - low) if high > low else 0.0
    return "".join(_LEVELS[round((mean - low) * scale)] for mean in means)
