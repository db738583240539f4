"""One run at a time in a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asr_ligru.errors import ConfigError
from asr_ligru.safety.folder_lock import locked


@contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Hold a run folder; the lock ends with the process, however it ends.

    Args:
        run_dir: made when it does not exist.

    Raises:
        ConfigError: another process holds it; the message names that process.
        EnvironmentError_: the folder cannot be written.
    """

    def refuse(holder: str) -> None:
        raise ConfigError(
            f"the run folder is in use by {holder}",
            where=str(run_dir),
            fix="wait for it, or choose another folder with exp_dir=FOLDER",
        )

    with locked(run_dir, refuse):
        yield
