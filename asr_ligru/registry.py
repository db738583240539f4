"""Closed tables from a configuration name to what builds the thing.

A configuration can only pick a name from a table; it can never name code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from asr_ligru.errors import ConfigError

T = TypeVar("T")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a "did you mean" clause for a misspelt ``name``, listing what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


class Registry(Generic[T]):
    """A table of named things of one kind.

    Args:
        kind: what the entries are, for messages ("cell").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its argument under ``name``."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        """Return the entry called ``name``.

        Raises:
            ConfigError: there is none; the message names the nearest.
        """
        if name not in self._entries:
            raise ConfigError(f"unknown {self.kind} {name!r}", fix=nearest(name, self._entries))
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries
