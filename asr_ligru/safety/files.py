"""Files written entirely or not at all, and JSON of unknown origin read within limits."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.safety.text import printable

TEMP_PREFIX = ".tmp-"
_MAX_JSON_DEPTH = 20


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path, max_bytes: int = 1 << 20) -> Any:
    """Read one JSON document that anybody may have written.

    Args:
        path: the file.
        max_bytes: longer files are refused unread.

    Raises:
        DataError: absent, too long, not UTF-8, not JSON or nested deeper than 20 levels.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")
        with path.open("rb") as stream:
            raw = stream.read(max_bytes + 1)
        if len(raw) > max_bytes:
            raise ValueError(f"longer than {max_bytes} bytes")
        value = json.loads(raw.decode("utf-8"))
        _refuse_deep(value)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read JSON: {printable(str(error))}", where=printable(str(path))) from error
    return value


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(_MAX_JSON_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    if level:
        raise ValueError(f"nested deeper than {_MAX_JSON_DEPTH} levels")


def atomic_write(path: Path, data: str | bytes) -> None:
    """Replace ``path`` by a file that holds ``data``, entirely or not at all, also across a power loss.

    The bytes go to a temporary file (mode 0600) in the same folder, are flushed to the disk, renamed over ``path``
    with the mode that the umask asks for, and the folder is flushed. A symbolic link at ``path`` is replaced, not
    followed; a device, pipe or folder there is left alone.

    Args:
        path: the file; its folder must exist.
        data: its content; text is written as UTF-8 with line feeds as they are.

    Raises:
        EnvironmentError_: disk full (naming bytes needed and free), the folder cannot be written, or something that
            is not a file is in the way.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    with write_errors(path.parent, len(raw)), atomic_file(path) as stream:
        stream.write(raw)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing that takes the place of ``path`` when the block ends without an exception.

    For what is too large to be held in memory; otherwise as ``atomic_write``, which see. Use it within
    ``write_errors``.
    """
    if path.exists() and not path.is_file() and not path.is_symlink():
        raise EnvironmentError_("cannot write: not a regular file", where=printable(str(path)))
    handle, name = tempfile.mkstemp(prefix=TEMP_PREFIX, dir=path.parent)
    temp = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temp.chmod(0o666 & ~umask())
        temp.replace(path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename inside it survives a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """Return the process's umask; for an instant it is 0o077, never wider."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def write_errors(folder: Path, needs_bytes: int) -> Iterator[None]:
    """Turn an OSError of the block into an EnvironmentError_ that names ``folder``.

    Args:
        folder: where the block writes.
        needs_bytes: how much it writes, for the message.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(folder, needs_bytes) from error
        where = printable(str(error.filename or folder))
        raise EnvironmentError_(f"cannot write: {error.strerror or error}", where=where) from error


def disk_full(folder: Path, needs_bytes: int) -> EnvironmentError_:
    """Return the error for a full disk: what is needed, what there is, where."""
    has = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB" if folder.is_dir() else "unknown"
    return EnvironmentError_(
        f"disk full: needs {needs_bytes / 1e6:.1f} MB, has {has}",
        where=printable(str(folder)),
        fix="free some space or write to another disk, then run the same command again",
    )
