"""One run at a time in a run folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from asr_ligru.errors import ConfigError, EnvironmentError_


@contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Hold a run folder; the lock ends with the process, however it ends.

    Args:
        run_dir: made when it does not exist.

    Raises:
        ConfigError: another process holds it; the message names that process.
        EnvironmentError_: the folder cannot be written.
    """
    path = run_dir / ".lock"
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise EnvironmentError_(f"cannot write the run folder: {error.strerror}", where=str(run_dir)) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            raise ConfigError(
                f"the run folder is in use by {handle.read().strip() or 'another process'}",
                where=str(run_dir),
                fix="wait for it, or choose another folder with exp_dir=FOLDER",
            ) from error
        handle.truncate(0)
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        handle.write(f"process {os.getpid()} on {socket.gethostname()} since {started}\n")
        handle.flush()
        yield
