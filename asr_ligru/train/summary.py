"""What a run taught, in a few lines for its end."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_ligru.safety import printable
from asr_ligru.score.runs import Run, flat_config, read_metrics, read_run


def summary(folder: Path) -> str:
    """Return six lines about a finished run and the command to type next.

    Args:
        folder: the run's.

    Raises:
        DataError: its metrics cannot be read.
    """
    run, metrics = read_run(folder), read_metrics(folder)
    lines = [_best(run), _scores(run), _calibration(run), _gradients(run, metrics), _waited(metrics), _skipped(run)]
    return "".join(f"{printable(line)}\n" for line in [*lines, f"next         {_next(run)}"])


def _best(run: Run) -> str:
    facts = run.facts
    return f"best epoch   {facts.best_epoch} of {facts.epochs}; dev WER of the kept model {_percent(facts.dev_wer)}"


def _scores(run: Run) -> str:
    if run.words.rate is None:
        return f"WER          not scored: {run.detail or run.state}"
    low, high = run.words.interval or (None, None)
    spread = "" if low is None else f" ({_percent(low)} to {_percent(high)})"
    return f"{run.facts.split} WER     {_percent(run.words.rate)}{spread}, CER {_percent(run.chars.rate)}"


def _calibration(run: Run) -> str:
    facts = run.facts
    if facts.word_ece is None or facts.temperature is None:
        return "calibration  not measured"
    errors = f"{_percent(facts.word_ece_raw)}, at temperature {facts.temperature:.2f} {_percent(facts.word_ece)}"
    sure = f"sure of {_percent(facts.word_confidence)}, right {_percent(facts.word_right)}"
    return f"calibration  expected error {errors}; {sure} of dev's words"


def _gradients(run: Run, metrics: Sequence[dict[str, Any]]) -> str:
    norms = [m["grad_max"] for m in metrics if m.get("grad_max")]
    limit = flat_config(run.config).get("train.max_grad_norm")
    clipped = "not clipped" if limit is None else f"clipped at {limit:g}"
    if not norms:
        return "gradients    not measured"
    growths = [max(m["growth"]) for m in metrics if m.get("growth")]
    stretch = f"; lambda {growths[-1]:.2f}, at most {max(growths):.2f}" if growths else ""
    middle = statistics.median(norms)
    return f"gradients    largest norm {max(norms):.3g}, median of the epochs {middle:.3g}, {clipped}{stretch}"


def _waited(metrics: Sequence[dict[str, Any]]) -> str:
    timed = [(m["train_s"], m["train_s"] * m["data_wait"]) for m in metrics if "data_wait" in m]
    total, waited = sum(t for t, _ in timed), sum(w for _, w in timed)
    return (
        f"data         waited for {_percent(waited / total)} of {total:.0f} s of training"
        if total
        else "data         not measured"
    )


def _skipped(run: Run) -> str:
    facts = run.facts
    return f"skipped      {facts.skipped_batches or 0} batches; {facts.left_out or 0} utterances left out"


def _next(run: Run) -> str:
    if run.facts.left_out:
        return f"asr-ligru validate {_quoted(flat_config(run.config).get('corpus.dir'))}"
    return f"asr-ligru decode {_quoted(run.folder)} YOUR.wav"


def _quoted(path: object) -> str:
    return shlex.quote(str(path))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
