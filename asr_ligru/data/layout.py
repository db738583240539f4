"""What the recipes of ``recipes/`` share: finding a corpus in a folder and reading its text files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.typing import BadUtterance, Utterance

AUDIO_SUFFIXES = (".sph", ".wav", ".flac", ".raw")
TO_MEASURE = 0.0  # the duration of an utterance that is a whole file: preparing measures it
_MAX_DEPTH = 2  # root/LibriSpeech, root/downloads/an4, download/unpacked-0/an4
_MAX_TEXT_BYTES = 256 << 20


@dataclass
class Listing:
    """What a recipe found in a corpus folder.

    Attributes:
        splits: utterances by the name of their split, which may contain one ``/``; a duration of ``TO_MEASURE``
            stands for the whole file.
        left_out: what the corpus holds but no split takes, with the reason.
        lexicon: pronunciations, lines ``WORD phone phone ...``; empty when the corpus has none.
        lexicons: those of folders of splits that have their own, by the folder's name.
        notes: what the user should know about how the corpus was read, a line each.
        disjoint_speakers: splits whose speakers are promised to be in no other split of the same folder.
    """

    splits: dict[str, list[Utterance]]
    left_out: list[BadUtterance] = field(default_factory=list)
    lexicon: list[str] = field(default_factory=list)
    lexicons: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    disjoint_speakers: tuple[str, ...] = ()

    def leave_out(self, utt_id: str, reason: str, path: Path) -> None:
        """Record something that no split takes."""
        self.left_out.append(BadUtterance(utt_id, "prepare", reason, str(path)))

    def leave_out_line(self, number: int, expected: str, line: str, path: Path) -> None:
        """Record a line of a text file that is not as it should be."""
        self.leave_out("", f"line {number}: expected `{expected}`, got {line[:60]!r}", path)

    def leave_out_unnamed(self, paths: Iterable[Path], named: Iterable[Path]) -> None:
        """Record the audio files among ``paths`` that are not ``named`` by any transcript."""
        for path in sorted(set(paths) - set(named)):
            self.leave_out(path.stem, "no transcript names it", path)


def is_training(split: str) -> bool:
    """Return whether a split is for training, so that unusable audio is left out of it, not counted as errors."""
    return split.rpartition("/")[2].startswith("train")


def find_folder(root: Path, *marks: str) -> Path:
    """Return the folder, ``root`` or the nearest at most two below it, that contains one of ``marks``.

    Args:
        root: where the user said the corpus is.
        marks: relative paths, or glob patterns, one of which every copy of the corpus has.

    Raises:
        DataError: no such folder, an empty folder, or nothing that matches.
    """
    folder = look_for(root, *marks)
    if folder is not None:
        return folder
    names = ", ".join(printable(child.name) for child in islice(_children(root), 8))
    found = f"found {names}" if names else "the folder is empty"
    raise DataError(f"expected {' or '.join(marks)} in the corpus folder; {found}", where=str(root), fix=_FIX)


def look_for(root: Path, *marks: str) -> Path | None:
    """Return what ``find_folder`` does, or None where nothing matches.

    Raises:
        DataError: no such folder.
    """
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise DataError(f"expected the folder of a corpus, found {found}", where=str(root), fix=_FIX)
    level = [root]
    for _ in range(_MAX_DEPTH + 1):
        for folder in level:
            if any(any(folder.glob(mark)) for mark in marks):
                return folder
        level = [child for folder in level for child in _children(folder) if child.is_dir()]
    return None


def find_audio(folder: Path, stem: str, suffixes: Sequence[str] = AUDIO_SUFFIXES) -> Path:
    """Return the audio file called ``stem``; where there is none, the first path that it could have."""
    candidates = [folder / f"{stem}{suffix}" for suffix in suffixes]
    return next((path for path in candidates if path.is_file()), candidates[0])


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without surrounding blanks) of a UTF-8 text file, blank lines left out.

    Raises:
        DataError: absent, not UTF-8, or larger than 256 MiB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_TEXT_BYTES + 1)
        if len(data) > _MAX_TEXT_BYTES:
            raise DataError(f"text file larger than {_MAX_TEXT_BYTES >> 20} MiB", where=str(path))
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", where=str(path), fix=_FIX) from error
    except UnicodeDecodeError as error:
        what = f"expected UTF-8 text, got byte {data[error.start]:#04x} at position {error.start}"
        raise DataError(what, where=str(path), fix="convert the file to UTF-8") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root element of an XML file that defines no entities.

    Raises:
        DataError: absent, larger than 256 MiB, not XML, or with a document type, which no corpus here has.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= _MAX_TEXT_BYTES else b"<!DOCTYPE"
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise DataError("XML with a document type, or a giant one", where=str(path), fix=_FIX)
        return ElementTree.fromstring(data)  # noqa: S314 - no entities: refused above
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror}", where=str(path), fix=_FIX) from error
    except ElementTree.ParseError as error:
        raise DataError(f"not XML: {error}", where=str(path), fix=_FIX) from error


def split_by_speaker(utterances: Sequence[Utterance], share: float = 0.05) -> dict[str, list[Utterance]]:
    """Cut a corpus without official splits into train, dev and test, so that no speaker is in two of them.

    Speakers are ranked by the SHA-256 of their names, the same everywhere; the first make the test set, the next the
    development set.

    Args:
        utterances: of all speakers.
        share: of the speakers in each of dev and test, at least one.
    """
    ranked = sorted({u.speaker for u in utterances}, key=lambda s: hashlib.sha256(s.encode()).digest())
    count = max(1, round(share * len(ranked)))
    split_of = dict.fromkeys(ranked, "train") | dict.fromkeys(ranked[:count], "test")
    split_of |= dict.fromkeys(ranked[count : 2 * count], "dev")
    return {split: [u for u in utterances if split_of[u.speaker] == split] for split in ("train", "dev", "test")}


_FIX = "give the corpus's own folder with --root; recipes/README.md says how to get it"


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot list the folder: {error.strerror}", where=str(folder)) from error
