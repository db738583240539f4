"""Folders that appear complete or not at all, with the SHA-256 of every file inside.

A sealed folder holds its files and one JSON file, the seal, which lists the others. It is written under a temporary
name beside its place, flushed to the disk and renamed; so whatever has the right name was complete once, and the
seal shows whether it still is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_ligru.errors import DataError
from asr_ligru.safety.files import (
    TEMP_PREFIX,
    disk_full,
    fsync_folder,
    read_json,
    sha256_file,
    umask,
    write_errors,
)
from asr_ligru.safety.text import printable

_ASIDE_PREFIX = ".old-"
_SLACK_BYTES = 1 << 16  # folder entries and block rounding


class NewerFormatError(DataError):
    """The folder was written by a later version of the toolkit; it is not damaged."""


def seal_folder(target: Path, files: Mapping[str, bytes], *, seal: str, format: int, head: Mapping[str, Any]) -> None:
    """Write a folder of ``files`` entirely or not at all, replacing an older one of the same name.

    Args:
        target: the folder; its parent is made where it does not exist.
        files: file name -> content.
        seal: name of the JSON file that lists the others.
        format: version of the folder's layout, written into the seal.
        head: further JSON values of the seal, under ``head``.

    Raises:
        EnvironmentError_: disk full or the parent cannot be written; ``target`` is as it was and nothing else is left.
    """
    listed = {name: {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()} for name, raw in files.items()}
    body = json.loads(json.dumps({"format": format, "head": dict(head), "files": listed}))  # as it will be read
    sealed = json.dumps({**body, "checksum": _checksum(body)}, indent=1).encode()
    needs_bytes = sum(map(len, files.values())) + len(sealed) + _SLACK_BYTES
    with write_errors(target.parent, needs_bytes):
        if not target.parent.exists():
            target.parent.mkdir(parents=True)
            fsync_folder(target.parent.parent)
        if shutil.disk_usage(target.parent).free < needs_bytes:
            raise disk_full(target.parent, needs_bytes)
        temp = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=target.parent))
        try:
            for name, raw in (*files.items(), (seal, sealed)):
                _write_flushed(temp / name, raw)
            fsync_folder(temp)
            temp.chmod(0o777 & ~umask())
            _put(temp, target)
        except BaseException:
            shutil.rmtree(temp, ignore_errors=True)
            raise
        fsync_folder(target.parent)
        remove_folder(_aside(target))


def _write_flushed(path: Path, raw: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(raw)
        stream.flush()
        os.fsync(stream.fileno())


def _put(temp: Path, target: Path) -> None:
    """Rename ``temp`` to ``target``. A folder in the way is moved aside, and back again by ``sweep`` after a crash."""
    if target.exists():
        remove_folder(_aside(target))
        target.rename(_aside(target))
    try:
        temp.rename(target)
    except BaseException:
        if _aside(target).exists():
            _aside(target).rename(target)
        raise


def _aside(target: Path) -> Path:
    return target.with_name(_ASIDE_PREFIX + target.name)


def remove_folder(folder: Path) -> None:
    """Delete a folder; at no moment does its name show a half-deleted one."""
    if folder.exists():
        doomed = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=folder.parent))
        folder.rename(doomed)
        shutil.rmtree(doomed)


def sweep(parent: Path) -> None:
    """Finish or undo what a killed writer left in ``parent``: temporary files and folders, folders moved aside.

    Call it only while no one else writes there.
    """
    if not parent.is_dir():
        return
    with write_errors(parent, 0):
        for path in sorted(parent.iterdir()):
            if path.name.startswith(_ASIDE_PREFIX):
                place = path.with_name(path.name.removeprefix(_ASIDE_PREFIX))
                remove_folder(path) if place.exists() else path.rename(place)
            elif path.name.startswith(TEMP_PREFIX):
                path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)


def open_sealed(folder: Path, *, seal: str, format: int) -> dict[str, Any]:
    """Check a sealed folder and return the ``head`` of its seal.

    Args:
        folder: the folder.
        seal: name of its seal.
        format: the newest layout known; an older one is the caller's to convert.

    Raises:
        NewerFormatError: the folder's layout is newer.
        DataError: no seal, or a file is missing, altered, not listed or not a regular file; the message names it.
            Files that end in ``.md`` may be added.
    """
    body = read_json(folder / seal)
    if not isinstance(body, dict) or not isinstance(body.get("format"), int):
        raise _bad(folder / seal, "not a seal of this toolkit")
    if body["format"] > format:
        raise NewerFormatError(
            f"format {body['format']}, this version reads up to {format}",
            where=printable(str(folder)),
            fix="install a newer version of asr-ligru",
        )
    checksum = body.pop("checksum", None)
    if checksum != _checksum(body) or not _is_seal(body):
        raise _bad(folder / seal, "altered: its checksum does not match")
    for path in sorted(folder.iterdir()):
        if path.name not in (seal, *body["files"]) and path.suffix != ".md":
            raise _bad(path, f"not listed in {seal}")
    for name, listed in body["files"].items():
        _check_file(folder, name, listed)
    head: dict[str, Any] = body["head"]
    return head


def _is_seal(body: dict[str, Any]) -> bool:
    """Return whether every part has the type that the rest of the module relies on."""
    files = body.get("files")
    return (
        set(body) == {"format", "head", "files"}
        and isinstance(body["head"], dict)
        and isinstance(files, dict)
        and all(isinstance(f, dict) and isinstance(f.get("bytes"), int) for f in files.values())
        and all(isinstance(f.get("sha256"), str) for f in files.values())
    )


def _check_file(folder: Path, name: str, listed: dict[str, Any]) -> None:
    path = folder / name
    if Path(name).name != name:
        raise _bad(path, "a file name that leaves the folder")
    try:
        info = path.lstat()
    except OSError as error:
        raise _bad(path, "missing") from error
    if not stat.S_ISREG(info.st_mode):
        raise _bad(path, "not a regular file")
    if info.st_size != listed["bytes"]:
        raise _bad(path, f"altered: {info.st_size} bytes, expected {listed['bytes']}")
    if (digest := sha256_file(path)) != listed["sha256"]:
        raise _bad(path, f"altered: SHA-256 {digest[:12]}..., expected {listed['sha256'][:12]}...")


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _bad(path: Path, what: str) -> DataError:
    return DataError(
        f"{printable(path.name)}: {what}", where=printable(str(path)), fix="use another copy, or write the folder again"
    )
