"""Ending a run between two updates when a signal asks for it."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class StopRequest:
    """Notes SIGINT and SIGTERM while it is entered; a second signal ends the process at once.

    Attributes:
        signum: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None

    def __enter__(self) -> StopRequest:
        self._previous = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            raise SystemExit(128 + signum)
        self.signum = signum


class Interrupted(SystemExit):
    """The run was stopped by a signal after a checkpoint was written; the exit code is 128 + the signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
