"""Where results go: standard output, or a folder with files that never collide and never lie outside of it."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from asr_ligru.decode.inputs import Input
from asr_ligru.decode.transcript import Transcript
from asr_ligru.decode.writers import FAILED_TOO, WRITERS, Style
from asr_ligru.errors import ConfigError
from asr_ligru.safety import atomic_write
from asr_ligru.safety.files import write_errors

_MAX_NAME_BYTES = 200  # of 255 that file systems allow
_DIGEST_CHARS = 10


def output_names(inputs: Sequence[Input]) -> list[PurePath]:
    """Return the relative path, without suffix, of each input's results; no two are equal, in any case or form.

    Inputs whose names would be equal get the suffix of their file, too, and where that does not help a digest of their
    path, so that a name does not depend on the order of the inputs.
    """
    plain = [_short(one.output) for one in inputs]
    suffixes = ["" if one.path is None else one.path.suffix for one in inputs]
    with_suffix = [name.with_name(name.name + suffix) for name, suffix in zip(plain, suffixes, strict=True)]
    names = _where_equal(plain, with_suffix)
    return _where_equal(names, [n.with_name(f"{n.name}-{_digest(one)}") for n, one in zip(names, inputs, strict=True)])


def _where_equal(names: list[PurePath], others: list[PurePath]) -> list[PurePath]:
    counts = Counter(map(_key, names))
    return [name if counts[_key(name)] == 1 else other for name, other in zip(names, others, strict=True)]


def _key(name: PurePath) -> str:
    """Return what file systems that ignore case or compose characters may take for the name."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def _digest(one: Input) -> str:
    place = f"{os.path.abspath(one.path or '')}\n{one.name}\n{one.offset_s}"
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:_DIGEST_CHARS]


def _short(name: PurePath) -> PurePath:
    """Return the path with a last part that leaves room for suffixes."""
    raw = os.fsencode(name.name)
    if len(raw) <= _MAX_NAME_BYTES:
        return name
    start = raw[:_MAX_NAME_BYTES].decode("utf-8", "ignore")
    return name.with_name(f"{start}-{hashlib.sha256(raw).hexdigest()[:_DIGEST_CHARS]}")


def utt_ids(inputs: Sequence[Input]) -> list[str]:
    """Return what trn and ctm call each input: the name of its file where that is unique; its id in a manifest."""
    stems = [one.name if one.duration_s is not None or one.path is None else one.path.stem for one in inputs]
    counts = Counter(stems)
    names = [name.as_posix() for name in output_names(inputs)]
    return [stem if counts[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]


@dataclass(frozen=True)
class OutputFolder:
    """Writes each transcript in some formats below a folder.

    Attributes:
        folder: is made when the first file is written.
        formats: entries of ``WRITERS``.
    """

    folder: Path
    formats: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError("-o names a file, expected a folder, or - for standard output", where=str(self.folder))

    def has(self, name: PurePath) -> bool:
        """Say whether all results of an input are there."""
        return all(self._path(name, fmt).is_file() for fmt in self.formats)

    def write(self, name: PurePath, transcript: Transcript, style: Style) -> None:
        """Write the results of one input, each file entirely or not at all.

        Raises:
            EnvironmentError_: the disk is full, or the folder cannot be written.
        """
        for fmt in self.formats:
            path = self._path(name, fmt)
            with write_errors(path.parent, 0):
                path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, WRITERS[fmt](transcript, style))

    def _path(self, name: PurePath, fmt: str) -> Path:
        path = self.folder / name
        return path.with_name(f"{path.name}.{fmt}")


def for_stdout(transcript: Transcript, fmt: str, style: Style, first: bool) -> str:
    """Return what standard output gets of an input; of a failed one only in formats where it counts.

    Args:
        transcript: what was heard.
        fmt: an entry of ``WRITERS``.
        style: of what is written.
        first: whether nothing was printed yet.
    """
    if transcript.status != "ok" and fmt not in FAILED_TOO:
        return WRITERS["tsv"](Transcript("", 0.0), style) if fmt == "tsv" and first else ""
    return WRITERS[fmt](transcript, replace(style, alone=first and fmt == "tsv"))
