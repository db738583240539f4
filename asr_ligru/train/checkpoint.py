"""Checkpoints: a folder ``step-000500`` with tensors in safetensors files and everything else in ``state.json``.

A checkpoint is committed under a temporary name and renamed when it is complete on the disk; ``checkpoint.json`` holds
the SHA-256 of every file. Killing the process at any moment leaves the last committed checkpoint.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety import printable, read_json
from asr_ligru.safety.sealed import NewerFormatError, open_sealed, remove_folder, seal_folder, sweep
from asr_ligru.train.snapshot import flatten_optimizer, restore_optimizer, rng_state, set_rng_state

__all__ = [
    "Checkpoint",
    "commit",
    "flatten_optimizer",
    "folder_of",
    "latest",
    "load",
    "restore_optimizer",
    "retain",
    "rng_state",
    "set_rng_state",
    "steps",
    "sweep",
]

FORMAT = 1
_SEAL = "checkpoint.json"
_STATE = "state.json"
_NAME = re.compile(r"step-(\d{6,12})")
_MAX_STATE_BYTES = 16 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """What ``commit`` was given.

    Attributes:
        path: the folder.
        step: the number of updates done.
        tensors: one entry for each safetensors file ("model", "optimizer", "rng", ...).
        state: JSON values.
    """

    path: Path
    step: int
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def commit(folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> Path:
    """Write a checkpoint, entirely or not at all; it is on the disk when this returns.

    Args:
        folder: where checkpoints are kept.
        step: the number of updates done, >= 0; an older checkpoint of the same step is replaced.
        tensors: file name without ending -> named tensors, on any device, which may share memory.
        state: JSON values.

    Returns:
        The checkpoint's folder.

    Raises:
        EnvironmentError_: disk full or not writable. Older checkpoints are untouched and nothing half-written stays.
    """
    files = {f"{name}.safetensors": pack(named) for name, named in tensors.items()}
    files[_STATE] = json.dumps(dict(state), indent=1).encode()
    if len(files[_STATE]) > _MAX_STATE_BYTES:
        raise ValueError(f"state of more than {_MAX_STATE_BYTES} bytes")
    target = folder_of(folder, step)
    seal_folder(target, files, seal=_SEAL, format=FORMAT, head={"step": step})
    return target


def load(path: Path) -> Checkpoint:
    """Read one checkpoint after checking every file's SHA-256.

    Args:
        path: the checkpoint's own folder.

    Raises:
        DataError: it is absent, altered, incomplete, or of a newer format; the message names the file.
    """
    head = open_sealed(path, seal=_SEAL, format=FORMAT)
    state = read_json(path / _STATE, _MAX_STATE_BYTES)
    match = _NAME.fullmatch(path.name)
    if not isinstance(state, dict) or (match and int(match.group(1)) != head.get("step")):
        raise DataError("the checkpoint's step and name differ, or its state is damaged", where=printable(str(path)))
    tensors = {file.stem: unpack(file) for file in sorted(path.glob("*.safetensors"))}
    return Checkpoint(path, head["step"], tensors, state)


def folder_of(folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint of ``step``."""
    return folder / name_of(step)


def name_of(step: int) -> str:
    """Return the name of the folder of the checkpoint after ``step`` updates."""
    return f"step-{step:06d}"


def steps(folder: Path) -> list[int]:
    """Return the steps that ``folder`` has checkpoints of, ascending; they are not checked."""
    if not folder.is_dir():
        return []
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir() if path.is_dir())
    return sorted(int(match.group(1)) for match in matches if match)


def warn_bad(error: DataError) -> None:
    """Log that a checkpoint cannot be used and an older one is tried."""
    _log.warning("skipped a checkpoint: %s", error)


def latest(folder: Path, on_bad: Callable[[DataError], None] = warn_bad) -> Checkpoint | None:
    """Return the newest usable checkpoint, or None where there is none at all.

    Args:
        folder: where checkpoints are kept.
        on_bad: called with the reason for each checkpoint that had to be skipped.

    Raises:
        DataError: there are checkpoints but all are damaged, or the newest usable one has a newer format.
    """
    found = steps(folder)
    for step in reversed(found):
        try:
            return load(folder_of(folder, step))
        except NewerFormatError:
            raise
        except DataError as error:
            on_bad(error)
    if found:
        raise DataError(
            f"all {len(found)} checkpoints are damaged",
            where=printable(str(folder)),
            fix="copy one back from elsewhere, or delete the folder to train from the beginning",
        )
    return None


def retain(folder: Path, keep: set[int]) -> None:
    """Delete the checkpoints of all steps not in ``keep``.

    Args:
        folder: where checkpoints are kept.
        keep: steps to keep; at least one of them must be there, so that a resume is always possible.
    """
    found = steps(folder)
    if found and not keep & set(found):
        raise ValueError("retain would delete every checkpoint")
    for step in set(found) - keep:
        remove_folder(folder_of(folder, step))
