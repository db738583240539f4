"""Texts of unknown origin made safe to print and to put into a spreadsheet."""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import groupby
from typing import Any

_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)  # C0, DEL, C1, bidi controls, line and paragraph separators, lone surrogates
_HARMFUL_IN_JSON = re.compile(_HARMFUL.pattern.replace("\x00-\x1f", ""))  # json escapes those itself
_MAX_LINE = 4000  # characters of a message; what it quotes may be longer
_FORMULA = re.compile("'*[\\s\u200b\ufeff]*[=+\\-@\t\r\n\0\u2212\uff1d\uff0b\uff0d\uff20]")


def printable(text: str) -> str:
    r"""Return ``text`` with everything that could drive a terminal or forge a line as an escape.

    Control characters (line feed included), bidirectional controls, U+2028/9 and lone surrogates become
    ``\x1b``- or ``\u202e``-like text. Letters of every script, right-to-left ones included, stay.
    """
    return _HARMFUL.sub(_escape, text)


def composed(text: str) -> str:
    """Return ``text`` in the composed form NFC, in a time that does not grow with the square of its length.

    ``unicodedata`` takes minutes to sort a megabyte of combining marks; here they come to it in their order.
    """
    if text.isascii():
        return text
    runs = groupby(text, key=lambda char: unicodedata.combining(char) > 0)
    sorted_ = ("".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs)
    return unicodedata.normalize("NFC", "".join(sorted_))


def printable_lines(text: str) -> str:
    """Return ``text`` with each line made printable, a very long one cut, and the ends of lines kept."""
    return "\n".join(printable(line[:_MAX_LINE] + "..." * (len(line) > _MAX_LINE)) for line in text.splitlines())


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def json_text(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as JSON, on one line unless ``indent`` is given, that any reader reads back equal.

    Letters of every script stay as they are; what ``printable`` escapes is escaped here in JSON's own way.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _HARMFUL_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def csv_cell(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula; ``csv_text`` undoes it.

    A text that begins with ``= + - @`` (also full-width, also after blanks), TAB, CR, LF or NUL gets a leading
    apostrophe. Quoting is left to ``csv.writer``; numbers are written as numbers, not through this function.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def csv_text(cell: str) -> str:
    """Return the text that ``csv_cell`` made ``cell`` from."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
