"""Runs found on disk: what was trained, how far it came, what it scored.

A run's folder holds ``config.json`` from its first second, ``metrics.jsonl`` (a line an epoch) while it trains, and
``run.json``, ``wer.json`` and ``hyp.jsonl`` when it is finished. Nothing that looks like a run is passed over.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from asr_ligru.config import Config, as_dict
from asr_ligru.errors import DataError
from asr_ligru.safety import printable, read_json
from asr_ligru.score.wer import FORMAT, Counts

D = TypeVar("D")

_MAX_WER_BYTES = 64 << 20  # it may list missing utterances
_FINISHED = "done"  # run.json's status


@dataclass(frozen=True)
class Facts:
    """What ``run.json`` records; None or empty where it does not say."""

    run: str = ""
    cell: str = ""
    features: str = ""
    tokens: str = ""
    corpus: str = ""
    split: str = ""
    seed: int | None = None
    parameters: int | None = None
    rtf: float | None = None  # seconds of computing per second of audio
    train_s: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    dev_wer: float | None = None  # a fraction
    temperature: float | None = None  # of confidences; fitted on dev, as the next four are measured, fractions
    word_ece: float | None = None  # expected calibration error
    word_ece_raw: float | None = None  # without the temperature
    word_confidence: float | None = None
    word_right: float | None = None
    left_out: int | None = None  # utterances
    skipped_batches: int | None = None
    unwritable_words: int | None = None  # references that the model's tokens or lexicon cannot give
    commit: str = ""
    command: str = ""
    hardware: str = ""
    status: str = _FINISHED
    synthetic: bool = False


@dataclass(frozen=True)
class Rate:
    """One error rate as ``wer.json`` records it; fractions of one."""

    ref: int = 0
    errors: int = 0
    sub: int = 0
    ins: int = 0
    rate: float | None = None
    interval: tuple[float, float] | None = None
    interval_by_speaker: tuple[float, float] | None = None

    @property
    def counts(self) -> Counts:
        """Return the edits."""
        return Counts(self.ref, self.sub, self.errors - self.sub - self.ins, self.ins)


@dataclass(frozen=True)
class Run:
    """One run's folder.

    Attributes:
        folder: where it is.
        state: "finished", "training", "stopped", "not scored", "broken", or what run.json says it ended with.
        detail: why or how far, when it is not finished.
        config: the configuration as a nested dict; empty when unreadable.
        facts: of run.json, completed from the configuration.
        words: the word error rate.
        chars: the character error rate.
        profile: the normalisation profile it was scored with.
    """

    folder: Path
    state: str
    detail: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    facts: Facts = Facts()
    words: Rate = Rate()
    chars: Rate = Rate()
    profile: str = ""


def find_runs(folders: Iterable[Path]) -> list[Run]:
    """Return every run at or under the folders, each once, by path; links are not followed.

    Raises:
        DataError: there is no such folder, or no run in it.
    """
    runs = {run.folder.resolve(): run for folder in folders for run in _runs_below(folder)}
    return list(runs.values())


def _runs_below(folder: Path) -> list[Run]:
    if not folder.is_dir():
        raise DataError("no such folder", where=printable(str(folder)), fix="name the folder that holds the runs")
    runs: list[Run] = []

    def unreadable(error: OSError) -> None:
        runs.append(Run(Path(error.filename), "broken", f"cannot list the folder: {error.strerror}"))

    for name, folders, files in os.walk(folder, onerror=unreadable):
        if "config.json" in files and ("run.json" in files or "model.safetensors" not in files):
            runs.append(read_run(Path(name)))
            folders.clear()
        folders.sort()
    if not runs:
        raise DataError(
            "no runs: no folder with a config.json", where=printable(str(folder)), fix="train one: `asr-ligru train`"
        )
    return runs


def read_run(folder: Path) -> Run:
    """Return the run in ``folder``; what cannot be read makes it a broken run, never an error."""
    try:
        config = _object(read_json(folder / "config.json"), "config.json")
        facts = _named(config, Facts())
    except (DataError, ValueError) as error:
        return Run(folder, "broken", _problem(error))
    try:
        if not (folder / "run.json").exists():
            state = "training" if _is_held(folder / ".lock") else "stopped"
            return Run(folder, state, _progress(folder, config) + _nonfinite(folder), config, facts)
        facts = _named(config, _typed(Facts, _object(read_json(folder / "run.json"), "run.json"), "run.json"))
        if facts.status != _FINISHED:
            return Run(folder, printable(facts.status), _progress(folder, config), config, facts)
        if not (folder / "wer.json").exists():
            return Run(folder, "not scored", "trained, but no wer.json", config, facts)
        return _scored(folder, config, facts)
    except (DataError, ValueError) as error:
        return Run(folder, "broken", _problem(error), config, facts)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a run's ``metrics.jsonl``, one an epoch; none when there is no such file.

    A last line without a line end is being written and is left for later.

    Raises:
        DataError: unreadable, or a whole line is not a JSON object.
    """
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        return [_object(json.loads(line), "a line") for line in whole.split("\n") if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read: {printable(str(error))}", where=printable(str(path))) from error


def flat_config(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested configuration as one dict with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= flat_config(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def settings(run: Run) -> dict[str, Any]:
    """Return a run's configuration by dotted keys; a key that came after it was trained has its default."""
    return flat_config(as_dict(Config())) | flat_config(run.config)


def _scored(folder: Path, config: Mapping[str, Any], facts: Facts) -> Run:
    tree = _object(read_json(folder / "wer.json", _MAX_WER_BYTES), "wer.json")
    if tree.get("format") != FORMAT:
        raise ValueError(f"wer.json: format {tree.get('format')!r}, this version reads {FORMAT}")
    words, chars = (_typed(Rate, _object(tree.get(unit), unit), f"wer.json: {unit}") for unit in ("words", "chars"))
    if words.rate is None:
        raise ValueError("wer.json: words: no rate")
    profile = tree.get("profile")
    if not isinstance(profile, str):
        raise ValueError("wer.json: profile: expected a string")
    return Run(folder, "finished", "", config, facts, words, chars, profile)


def _is_held(lock: Path) -> bool:
    """Say whether a process trains there: it holds the file's lock, which ends with it, however it ends."""
    try:
        with lock.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # never trained on this machine: a folder that was copied has no lock
    return False


def _progress(folder: Path, config: Mapping[str, Any]) -> str:
    """Return how far a run came, in words."""
    metrics = read_metrics(folder)
    if not metrics:
        return "no epoch finished"
    planned = flat_config(config).get("train.epochs")
    words = f"epoch {metrics[-1].get('epoch', '?')}" + (f" of {planned}" if planned is not None else "")
    wers = [m["dev_wer"] for m in metrics if _is_finite(m.get("dev_wer"))]
    return printable(f"{words}, dev WER {100 * wers[-1]:.1f} %" if wers else words)


def _nonfinite(folder: Path) -> str:
    """Say at which updates, if any, the loss or a gradient was not finite: training leaves a file for each."""
    found = (re.fullmatch(r"nonfinite-step-(\d{1,12})", path.stem) for path in folder.glob("nonfinite-step-*.json"))
    steps = sorted(int(match[1]) for match in found if match)
    return f", not finite at step {steps[-1]}" if steps else ""


def _named(config: Mapping[str, Any], facts: Facts) -> Facts:
    """Return ``facts`` with the names it lacks from the configuration."""
    flat = flat_config(config)
    names = {key: flat.get(f"{key}.name") for key in ("cell", "features", "tokens", "corpus")}
    seed, run = flat.get("seed"), flat.get("run_name")
    changes: dict[str, Any] = {
        key: name for key, name in {**names, "run": run}.items() if isinstance(name, str) and not getattr(facts, key)
    }
    if facts.seed is None and isinstance(seed, int):
        changes["seed"] = seed
    return dataclasses.replace(facts, **changes)


def _typed(cls: type[D], tree: Mapping[str, Any], where: str) -> D:
    """Build a dataclass from the keys it knows; a value of another type is a ValueError."""
    values: dict[str, Any] = {}
    for one in dataclasses.fields(cls):  # type: ignore[arg-type]
        value = tree.get(one.name)
        if value is None:
            continue
        if not _CHECKS[str(one.type).removesuffix(" | None")](value):
            raise ValueError(f"{where}: {one.name}: expected {one.type}, got {str(value)[:40]!r}")
        values[one.name] = tuple(value) if isinstance(value, list) else value
    return cls(**values)


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is_finite,
    "tuple[float, float]": lambda value: isinstance(value, list) and len(value) == 2 and all(map(_is_finite, value)),
}


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object in braces, got {type(value).__name__}")
    return value


def _problem(error: Exception) -> str:
    return printable(f"{Path(error.where).name}: {error.what}" if isinstance(error, DataError) else str(error))
