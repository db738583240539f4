"""Pronunciation lexicons: which phones a word is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asr_ligru.errors import DataError
from asr_ligru.safety import printable

_MAX_LINE_BYTES = 10_000
_MAX_SHOWN = 50
_VARIANT = re.compile(r"(.+)\(\d+\)")  # CMU style: READ(2) is another pronunciation of READ

Pronunciation = tuple[str, ...]


class Lexicon:
    """Words and their pronunciations, in the order of the file.

    Args:
        entries: word -> its pronunciations, the first being the usual one; none empty.
    """

    def __init__(self, entries: Mapping[str, Iterable[Pronunciation]]) -> None:
        self._entries = {word: tuple(pronunciations) for word, pronunciations in entries.items()}
        self.phones = tuple(sorted({phone for _, phones in self for phone in phones}))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, word: object) -> bool:
        return word in self._entries

    def __iter__(self) -> Iterator[tuple[str, Pronunciation]]:
        """Yield (word, pronunciation) pairs in order."""
        for word, pronunciations in self._entries.items():
            for phones in pronunciations:
                yield word, phones

    def pronunciations(self, word: str) -> tuple[Pronunciation, ...]:
        """Return the word's pronunciations, the usual one first.

        Raises:
            DataError: the word is not in the lexicon.
        """
        if word not in self._entries:
            raise DataError(f"no pronunciation for '{printable(word)}'", fix="add the word to the lexicon")
        return self._entries[word]

    def missing(self, words: Iterable[str]) -> list[str]:
        """Return those of ``words`` that have no pronunciation, sorted, each once."""
        return sorted({word for word in words if word not in self._entries})

    def text(self) -> str:
        """Return the lexicon as the text of a file that ``read`` makes an equal one from."""
        # A word that ends like a variant, such as "A(2)", keeps its end as a variant of itself.
        names = {word: f"{word}(1)" if _VARIANT.fullmatch(word) else word for word in self._entries}
        return "".join(f"{names[word]} {' '.join(phones)}\n" for word, phones in self)

    @classmethod
    def read(cls, path: Path) -> Lexicon:
        """Read ``word phone phone ...`` lines, blank or tab separated, UTF-8.

        A word may have several lines; ``WORD(2)`` adds a pronunciation to ``WORD`` and lines that begin with ``;;;``
        are comments, as in CMU dictionaries.

        Raises:
            DataError: the file is absent, empty, or has lines without phones, repeated lines, control characters or
                bytes that are not UTF-8; every finding with its line number, up to 50 of them.
        """
        if not path.is_file():
            raise DataError("no such lexicon", where=printable(str(path)))
        entries: dict[str, dict[Pronunciation, int]] = {}  # pronunciation -> line number
        findings: list[str] = []
        with path.open("rb") as stream:
            for number, raw in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b""), start=1):
                problem = _read_line(raw, number, entries)
                if problem:
                    findings.append(f"line {number}: {problem}")
                if len(raw) > _MAX_LINE_BYTES:
                    break
        if not entries and not findings:
            findings.append("no words in it")
        if findings:
            raise _error(path, findings)
        return cls(entries)


def _read_line(raw: bytes, number: int, entries: dict[str, dict[Pronunciation, int]]) -> str:
    """Enter one line into ``entries``; return what is wrong with it, or ""."""
    if len(raw) > _MAX_LINE_BYTES:
        return f"longer than {_MAX_LINE_BYTES} bytes; the rest of the file was not read"
    try:
        line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip(" \t\r\n")
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start + 1}"
    if not line or line.startswith(";;;"):
        return ""
    if printable(line.replace("\t", " ")) != line.replace("\t", " "):
        return f"a control character in '{printable(line[:60])}'"
    word, *phones = re.split(r"[ \t]+", line)
    variant = _VARIANT.fullmatch(word)
    word = variant.group(1) if variant else word
    if not phones:
        return f"no phones for {word!r}"
    first = entries.setdefault(word, {}).setdefault(tuple(phones), number)
    return f"{word!r} has the pronunciation of line {first} again" if first != number else ""


def _error(path: Path, findings: list[str]) -> DataError:
    shown = "; ".join(findings[:_MAX_SHOWN])
    more = f"; and {len(findings) - _MAX_SHOWN} more" if len(findings) > _MAX_SHOWN else ""
    return DataError(
        f"{len(findings)} wrong line{'s' if len(findings) > 1 else ''} in the lexicon: {shown}{more}",
        where=printable(str(path)),
        fix="each line must be a word and its phones, separated by blanks; remove repeated lines",
    )
