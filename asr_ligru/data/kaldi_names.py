"""Names in Kaldi's files: where an object or a recording is. A command is never one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_ligru.data.layout import read_lines
from asr_ligru.errors import DataError
from asr_ligru.safety import printable

_SPECIFIER = re.compile(r"(?P<kind>ark|scp)(?:,(?P<options>[a-z,]*))?:(?P<name>.*)", re.DOTALL)
_HARMLESS = {"", "t", "b", "o", "no", "s", "ns", "cs", "ncs", "bg", "np"}
_LOCATION = re.compile(
    r"(?P<name>.*?)(?::(?P<offset>[0-9]{1,18}))?(?:\[(?P<rows>[0-9:]*)(?:,(?P<columns>[0-9:]*))?\])?", re.DOTALL
)
_MAX_KEY_BYTES = 4000
_BLANKS = re.compile(r"[ \t]+")
_ROWS_TOO_MANY = 3  # Kaldi lets a range end as many rows after the matrix, for roundings of times


@dataclass(frozen=True)
class Location:
    """Where an object is.

    Attributes:
        name: of the file.
        offset: bytes before the object.
        rows: the first and the last row to take, None for all.
        columns: likewise.
    """

    name: str
    offset: int = 0
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.name)

    def cut(self, array: Any) -> Any:
        """Return the part of a matrix or vector that the range names.

        Raises:
            ValueError: it lies outside.
        """
        for axis, chosen in enumerate((self.rows, self.columns)):
            if chosen is not None:
                first, last = chosen
                beyond = _ROWS_TOO_MANY if axis == 0 else 0
                if axis >= array.ndim or not first <= last < array.shape[axis] + beyond or first >= array.shape[axis]:
                    raise ValueError(f"the range [{first}:{last}] lies outside of an object of shape {array.shape}")
                array = array[first : last + 1] if axis == 0 else array[:, first : last + 1]
        return array


def split_specifier(source: str) -> tuple[str, str]:
    """Return ("ark" or "scp", file name) of a path, or of a path after ``ark:``, ``scp:`` or ``ark,cs:`` and the like.

    Raises:
        DataError: a command, standard input, or the option ``p``, which would leave out broken entries silently.
    """
    refuse_command(source, source)
    match = _SPECIFIER.fullmatch(source)
    if match is None:
        return ("scp" if source.endswith(".scp") else "ark"), source
    unknown = set((match["options"] or "").split(",")) - _HARMLESS
    if unknown or match["name"].strip() in ("", "-"):
        what = "expected ark:FILE or scp:FILE of a file, without the option p"
        raise DataError(f"{what}, got {printable(source)!r}", fix="give the path of the archive or script file")
    return match["kind"], match["name"]


def refuse_command(name: str, where: str) -> None:
    """Refuse a name that Kaldi would run as a command.

    Raises:
        DataError: there is a ``|`` in it, wherever that is.
    """
    if "|" in name:
        raise DataError(
            f"a command instead of a file: {printable(name.strip()[:200])!r}",
            where=printable(where),
            fix="commands are never run. Name the file itself (gzip, SPHERE, FLAC are read), or copy the output first",
        )


def locate(name: str) -> Location:
    """Split ``file:offset[rows,columns]`` as Kaldi does; rows and columns are ``first:last``, both included.

    Raises:
        ValueError: a range without two numbers.
    """
    match = _LOCATION.fullmatch(name)
    assert match  # every text does
    return Location(match["name"], int(match["offset"] or 0), _range(match["rows"]), _range(match["columns"]))


def check_name(name: str) -> None:
    """Refuse a file name that a script file cannot hold.

    Raises:
        DataError: blanks at an end, a line break, a ``|``, or what would be taken for a position or range.
    """
    match = _LOCATION.fullmatch(name)
    plain = match is not None and match["name"] == name and name == name.strip() and name.isprintable()
    if not plain or "|" in name:
        what = "Kaldi's files cannot name this one: blanks at an end, control characters, |, or : or [ with numbers"
        raise DataError(what, where=printable(name), fix="give the file a plainer name")


def check_key(key: str, where: str) -> None:
    """Refuse a key that Kaldi's files cannot hold.

    Raises:
        DataError: it is empty, has blanks or characters that are not printable, or is longer than 4000 bytes.
    """
    if not key or not key.isprintable() or key.split() != [key] or len(key.encode()) > _MAX_KEY_BYTES:
        what = f"expected a key without blanks, got {printable(key[:80])!r}"
        raise DataError(what, where=printable(where), fix="rename the utterance or speaker")


def _range(text: str | None) -> tuple[int, int] | None:
    if text in (None, "", ":"):
        return None
    match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text or "")
    if match is None:
        raise ValueError(f"expected a range first:last, got [{text}]")
    return int(match[1]), int(match[2])


def read_script(path: Path) -> Iterator[tuple[str, str, Location]]:
    """Yield (file, line and key for messages; key; location with an existing file, if there is one) of a script file.

    Raises:
        DataError: absent, not UTF-8, a line that is not ``key location``, or a command.
    """
    for where, key, name in read_keyed(path):
        refuse_command(name, where)
        try:
            location = locate(name)
        except ValueError as error:
            what = f"malformed script file: {error}"
            raise DataError(what, where=printable(where), fix="make the script file again") from error
        if not location.name or "\0" in name:
            what = f"expected `key file`, got {printable(f'{key} {name}'[:60].strip())!r}"
            raise DataError(what, where=printable(where), fix="name the file after the key")
        yield where, key, replace(location, name=str(find(location.name, path)))


def read_keyed(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (file, line and key for messages; key, the first word of a line; the rest after the blanks, maybe "").

    Raises:
        DataError: absent or not UTF-8.
    """
    for number, line in read_lines(path):
        key, *rest = _BLANKS.split(line, maxsplit=1)
        yield f"{path}, line {number}, key {key}", key, rest[0] if rest else ""


def find(name: str, script: Path) -> Path:
    """Return the file that a line of ``script`` names.

    Relative names begin at the current folder, as in Kaldi. Where nothing is there: at the folder of the script or
    one of the two above it, because people keep ``data/train/wav.scp`` below the folder from which Kaldi ran.
    """
    path = Path(name)
    if path.is_absolute():
        return path
    here = script.resolve().parent
    candidates = (path, here / path, here.parent / path, here.parent.parent / path)
    return next((candidate for candidate in candidates if _is_file(candidate)), path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name longer than the system allows, or with a NUL
        return False
