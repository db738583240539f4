"""One progress bar for a whole run: loss, development WER and time left."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm

_LAYOUT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class ProgressBar:
    """A bar on stderr over ``total`` units; without a terminal, a plain line now and then.

    Args:
        label: what is under way, such as "ligru".
        total: units of the whole work.
        enabled: False shows nothing.
        leave: whether it stays on the screen when the work is done.
    """

    def __init__(self, label: str, total: float, enabled: bool = True, leave: bool = True) -> None:
        self._bar = tqdm(
            total=total,
            desc=label,
            disable=not enabled,
            leave=leave,
            file=sys.stderr,
            dynamic_ncols=sys.stderr.isatty(),
            ncols=None if sys.stderr.isatty() else 79,
            mininterval=0.2 if sys.stderr.isatty() else 15.0,
            maxinterval=1.0 if sys.stderr.isatty() else 60.0,
            bar_format=_LAYOUT,
        )

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def resume_at(self, done: float) -> None:
        """Begin at ``done`` units, so that the time left counts this session's speed only."""
        self._bar.initial = done
        self._bar.n = done
        self._bar.refresh()

    def advance_to(self, done: float, note: str = "") -> None:
        """Show ``done`` units and a note of a few words."""
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def tick(self) -> None:
        """Advance by one."""
        self._bar.update(1)

    def write(self, line: str) -> None:
        """Print a line above the bar."""
        if not self._bar.disable:
            self._bar.write(line, file=sys.stderr)
