"""Text files line by line: everything that is wrong with one is said at once, with its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from asr_ligru.errors import DataError
from asr_ligru.safety import printable

_MAX_LINE_BYTES = 4 << 20
_MAX_FINDINGS = 50


def parse_lines(path: Path, parse: Callable[[int, str], None]) -> None:
    """Call ``parse`` with the number (from 1) and text of each line that is not blank.

    Args:
        path: a UTF-8 file, with or without a byte-order mark.
        parse: takes what the line says; what is wrong with it is a ``ValueError``.

    Raises:
        DataError: unreadable, a line without end, or findings: each with its line, up to 50, then a count.
    """
    findings: list[str] = []
    for number, line in _lines(path):
        try:
            if line.strip():
                parse(number, _decode(line))
        except ValueError as error:
            findings.append(f"line {number}: {printable(str(error))}")
    if findings:
        shown = "\n".join(f"    {finding}" for finding in findings[:_MAX_FINDINGS])
        more = f"\n    and {len(findings) - _MAX_FINDINGS} more" if len(findings) > _MAX_FINDINGS else ""
        plural = "s" if len(findings) > 1 else ""
        raise DataError(
            f"{len(findings)} unreadable line{plural}:\n{shown}{more}",
            where=printable(str(path)),
            fix="correct these lines",
        )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(_MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > _MAX_LINE_BYTES:
                    raise DataError(f"line {number} is longer than {_MAX_LINE_BYTES} bytes", where=printable(str(path)))
                yield number, line
    except OSError as error:
        fix = "name a manifest, or what `asr-ligru decode` wrote"
        raise DataError(f"cannot read: {error.strerror}", where=printable(str(path)), fix=fix) from error


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte {error.start + 1}") from error
