"""Ending a run when a signal asks for it: at once, or between two updates."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # SIGHUP: the terminal or the connection is gone


class StopRequest:
    """Ends the run at a signal while it is entered; inside of ``later`` the first signal is only noted.

    SIGHUP stays ignored where the process was started to ignore it, as by ``nohup``.

    Args:
        launched: whether a launcher started this process: it then stops when its launcher is gone, and hears a signal
            once, because launchers repeat them.

    Attributes:
        signum: the signal that came, or None.
    """

    def __init__(self, launched: bool = False) -> None:
        self.signum: int | None = None
        self._launcher = os.getppid() if launched else None
        self._later = False

    @property
    def asked(self) -> int:
        """The signal to stop for, or 0."""
        if self._launcher not in (None, os.getppid()):
            return signal.SIGTERM
        return self.signum or 0

    def __enter__(self) -> StopRequest:
        heard = [s for s in _SIGNALS if s != signal.SIGHUP or signal.getsignal(s) != signal.SIG_IGN]
        self._previous = {s: signal.signal(s, self._note) for s in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    @contextmanager
    def later(self) -> Iterator[None]:
        """Leave it to what is inside to look at ``signum`` and stop; a second signal ends the run at once."""
        self._later = True
        try:
            yield
        finally:
            self._later = False

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if not self._later or (self.signum is not None and self._launcher is None):
            raise Interrupted(signum)
        self.signum = signum


class Interrupted(SystemExit):
    """The run was stopped by a signal and can be continued; the exit code is 128 + the signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
