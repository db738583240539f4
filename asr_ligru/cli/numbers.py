"""Numbers as options take them."""

from __future__ import annotations

import argparse

_MOST = 10**9


def whole_number(text: str) -> int:
    """Return a whole number, in place of argparse's "invalid int value"."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text[:40]!r}") from None


def number(text: str) -> float:
    """Return a number, in place of argparse's "invalid float value"."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text[:40]!r}") from None


def positive(text: str) -> int:
    """Return a whole number from 1 on."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < _MOST):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text[:40]!r}")
    return int(text)


def numbers(text: str) -> tuple[float, ...]:
    """Return numbers with commas between."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, got {text[:40]!r}") from None
