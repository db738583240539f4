"""Exceptions a user can meet, and the exit code each one ends a command with.

::

    AsrLigruError            1  a fault of this package
    ├── ConfigError          2  usage or configuration
    ├── DataError            3  corpus, audio, transcript, manifest, model folder
    ├── EnvironmentError_    4  disk, memory, device, missing extra
    └── DivergedError        5  training produced a non-finite loss or gradient

Signals end a command with 130 (SIGINT), 143 (SIGTERM) or 129 (SIGHUP: the terminal is gone).
"""

from __future__ import annotations


class AsrLigruError(Exception):
    """An error with the four parts every message has: what, where, expected/got, fix.

    Args:
        what: what is wrong, with what was expected and got, on one line.
        where: file, key or utterance it was found in; empty when ``what`` says it.
        fix: what the user can type or change; empty when nothing sensible can be said.
    """

    exit_code = 1
    kind = "error"

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [f"{self.kind}: {self.what}"]
        if self.where:
            lines.append(f"  in: {self.where}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class ConfigError(AsrLigruError):
    """A wrong option, key, value or combination of them."""

    exit_code = 2
    kind = "config error"


class DataError(AsrLigruError):
    """Unusable data: corpus folder, audio file, transcript, manifest, checkpoint."""

    exit_code = 3
    kind = "data error"


class EnvironmentError_(AsrLigruError):
    """The machine cannot do it: disk full, no memory, no device, an extra not installed."""

    exit_code = 4
    kind = "environment error"


class DivergedError(AsrLigruError):
    """Training met a non-finite loss or gradient; nothing was updated with it."""

    exit_code = 5
    kind = "diverged"
