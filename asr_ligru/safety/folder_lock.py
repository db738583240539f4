"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from asr_ligru.errors import EnvironmentError_
from asr_ligru.safety.files import write_errors
from asr_ligru.safety.text import printable

# The file loses its content, so it must not be another that a link in its place names.
_NEVER_A_LINK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def locked(folder: Path, busy: Callable[[str], object]) -> Iterator[None]:
    """Hold a folder; the lock ends with the process, however it ends.

    Args:
        folder: made when it does not exist.
        busy: called with who holds it, "process 17 on host since ...", when another process does. What it raises is
            passed on; when it returns, the folder is waited for.

    Raises:
        EnvironmentError_: the folder cannot be written, or something other than a file has the lock's name.
    """
    with write_errors(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", _NEVER_A_LINK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise EnvironmentError_("cannot lock: not a regular file", where=printable(str(folder / ".lock")))
    with os.fdopen(descriptor, "r+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            busy(handle.read().strip() or "another process")
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        handle.truncate(0)
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        handle.write(f"process {os.getpid()} on {socket.gethostname()} since {started}\n")
        handle.flush()
        yield
