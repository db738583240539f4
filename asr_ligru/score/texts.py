"""References and hypotheses by utterance id, from the formats speech toolkits write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from asr_ligru.errors import DataError
from asr_ligru.safety import printable

Side = Literal["ref", "hyp"]

_KEYS: dict[Side, tuple[str, ...]] = {"ref": ("text", "ref"), "hyp": ("hyp", "text")}
_MAX_LINE_BYTES = 4 << 20
_MAX_FINDINGS = 50
_TRN = re.compile(r"(.*)\(([^()]+)\)\s*$", re.DOTALL)


@dataclass(frozen=True)
class Texts:
    """What one file says.

    Attributes:
        texts: by utterance id, in the file's order.
        speakers: by utterance id, where the file names them.
        failed: why there is no text, by utterance id, for what a decoder could not decode.
    """

    texts: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def read_texts(path: Path, side: Side) -> Texts:
    """Read one side of a scoring.

    Args:
        path: ``.jsonl``: a manifest (``id``, ``text``, ``speaker``) or decoder output (``id``, ``hyp``, ``ref``,
            ``status``); ``.trn``: ``words (id)`` a line; any other: Kaldi's text, ``id words`` a line. UTF-8.
        side: which key of a JSON line is meant where there are two.

    Raises:
        DataError: unreadable, empty, or findings: each with its line, up to 50, then a count.
    """
    parse = {".jsonl": _json_line, ".trn": _trn_line}.get(path.suffix, _kaldi_line)
    found = Texts()
    findings: list[str] = []
    first: dict[str, int] = {}
    for number, line in _lines(path):
        try:
            if not line.strip():
                continue
            utt_id = parse(_decode(line), side, found)
            if first.setdefault(utt_id, number) != number:
                raise ValueError(f"duplicate id {utt_id!r}, first on line {first[utt_id]}")
        except ValueError as error:
            findings.append(f"line {number}: {printable(str(error))}")
    _refuse(findings, path)
    if not found.texts:
        raise DataError("no utterances", where=printable(str(path)), fix="check that this is the right file")
    return found


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
        raise DataError(f"cannot read: {error.strerror}", where=printable(str(path))) from error


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte {error.start + 1}") from error


def _json_line(line: str, side: Side, found: Texts) -> str:
    record = _object(line)
    utt_id = _string(record, "id")
    key = next((key for key in _KEYS[side] if key in record), _KEYS[side][0])
    found.texts[utt_id] = _string(record, key)
    if record.get("speaker"):
        found.speakers[utt_id] = _string(record, "speaker")
    if record.get("status", "ok") != "ok":
        found.failed[utt_id] = _string(record, "status")
    return utt_id


def _object(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError(f"expected an object in braces, got {type(record).__name__}")
    return record


def _string(record: dict[str, Any], key: str) -> str:
    if not isinstance(record.get(key), str):
        problem = f"got {type(record[key]).__name__}" if key in record else "missing"
        raise ValueError(f"key {key!r}: expected a string, {problem}")
    return str(record[key])


def _trn_line(line: str, side: Side, found: Texts) -> str:
    match = _TRN.fullmatch(line)
    if match is None:
        raise ValueError("expected words (id)")
    words, utt_id = match[1].split(), match[2].strip()
    if "{" in words and "/" in words:
        raise ValueError("alternatives in braces are not scored: keep one of them")
    found.texts[utt_id] = " ".join(words)
    return utt_id


def _kaldi_line(line: str, side: Side, found: Texts) -> str:
    utt_id, _, words = line.strip().partition(" ")
    found.texts[utt_id] = words
    return utt_id


def _refuse(findings: list[str], path: Path) -> None:
    if findings:
        shown = "\n".join(f"    {finding}" for finding in findings[:_MAX_FINDINGS])
        more = f"\n    and {len(findings) - _MAX_FINDINGS} more" if len(findings) > _MAX_FINDINGS else ""
        plural = "s" if len(findings) > 1 else ""
        raise DataError(
            f"{len(findings)} unreadable line{plural}:\n{shown}{more}",
            where=printable(str(path)),
            fix="correct these lines",
        )
