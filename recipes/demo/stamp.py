"""The stamp ``synthesis.json``: whether a corpus is finished, from what it was made, and that it is still whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from asr_ligru.errors import DataError
from asr_ligru.safety import atomic_write, read_json, sha256_file
from asr_ligru.safety.files import write_errors

RECIPE_VERSION = 1  # raised whenever the same parameters give other bytes
_NAME = "synthesis.json"
_AUDIO = "wav"
_MAKER = "asr-ligru demo"


def is_finished(out: Path, parameters: dict[str, Any]) -> bool:
    """Return whether ``out`` holds the whole, undamaged corpus of these parameters."""
    found = _read(out)
    wanted = {"recipe_version": RECIPE_VERSION, "parameters": parameters}
    if not found.get("files") or any(found.get(key) != value for key, value in wanted.items()):
        return False
    return all((out / name).exists() for name in found["files"]) and found["files"] == _hashes(out)


def begin(out: Path, parameters: dict[str, Any]) -> None:
    """Clear away what an earlier run left in ``out`` and mark the folder as being made.

    Raises:
        DataError: ``out`` holds a folder ``wav`` that no earlier run made.
        EnvironmentError_: the folder cannot be written.
    """
    audio = out / _AUDIO
    if not _read(out) and audio.exists():
        raise DataError(
            f"{_AUDIO}/ is here already and was not made by this recipe",
            where=str(out),
            fix="choose another folder with --out, or move it away",
        )
    with write_errors(out, 0):
        out.mkdir(parents=True, exist_ok=True)
        _write(out, {"parameters": parameters})
        if audio.exists():
            shutil.rmtree(audio)
        for old in (*out.glob("*.meta.jsonl"), *out.glob("*.times.jsonl")):
            old.unlink()


def finish(out: Path, parameters: dict[str, Any], **facts: str) -> None:
    """Mark the corpus as finished, with the hashes of its files and some ``facts`` on how it was made."""
    _write(out, {"parameters": parameters, **facts, "files": _hashes(out)})


def _read(out: Path) -> dict[str, Any]:
    """Return the stamp, or an empty dict where there is none of ours."""
    if not (out / _NAME).is_file():
        return {}
    found = read_json(out / _NAME)
    return found if isinstance(found, dict) and found.get("maker") == _MAKER else {}


def _write(out: Path, content: dict[str, Any]) -> None:
    stamp = {"maker": _MAKER, "recipe_version": RECIPE_VERSION, **content}
    atomic_write(out / _NAME, json.dumps(stamp, indent=1) + "\n")


def _hashes(out: Path) -> dict[str, str]:
    """Return the SHA-256 of each text file, and one of all audio (of the sorted paths and their SHA-256)."""
    texts = sorted([out / "lexicon.txt", *out.glob("*.meta.jsonl"), *out.glob("*.times.jsonl")])
    audio = hashlib.sha256()
    for path in sorted((out / _AUDIO).rglob("*.wav")):
        audio.update(f"{path.relative_to(out).as_posix()} {sha256_file(path)}\n".encode())
    return {path.name: sha256_file(path) for path in texts} | {_AUDIO: audio.hexdigest()}
