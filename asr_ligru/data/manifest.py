"""Manifests: one utterance a line, as JSON, between preparing a corpus and everything after it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from asr_ligru.errors import DataError
from asr_ligru.registry import nearest
from asr_ligru.safety import atomic_write, json_text, printable
from asr_ligru.typing import BadUtterance, Utterance

MAX_FINDINGS = 50
_MAX_LINE_BYTES = 1 << 20
_MAX_TIME_S = 1e6
_REQUIRED = ("id", "audio_filepath", "duration", "text")
_KINDS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "audio_filepath": (str,),
    "offset": (int, float),
    "duration": (int, float),
    "text": (str,),
    "speaker": (str,),
    "snr_db": (int, float),
    "start_byte": (int,),
    "num_bytes": (int,),
}
_MAX_SNR_DB = 1000.0
_MAX_FILE_BYTES = 1 << 50


def read_manifest(path: str | os.PathLike[str]) -> list[Utterance]:
    """Read a manifest whole, or report everything that is wrong with it.

    Args:
        path: UTF-8 JSON lines with the keys ``id``, ``audio_filepath`` (relative paths begin at the manifest's
            folder), ``duration`` (seconds), ``text``, and, if need be, ``offset`` (seconds), ``speaker``,
            ``snr_db`` (decibels), and ``start_byte`` with ``num_bytes`` where the file is an archive.

    Returns:
        The utterances in the order of the lines; blank lines are passed over.

    Raises:
        DataError: absent, not UTF-8, empty, or findings: each with its line, up to 50, then a count.
    """
    path = Path(path)
    utterances, findings = scan_manifest(path)
    if findings:
        shown = "\n".join(f"    {finding}" for finding in findings[:MAX_FINDINGS])
        more = f"\n    and {len(findings) - MAX_FINDINGS} more" if len(findings) > MAX_FINDINGS else ""
        count = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
        raise DataError(f"{count} in a manifest:\n{shown}{more}", where=str(path), fix="correct these lines")
    if not utterances:
        raise DataError("a manifest without utterances", where=str(path), fix="prepare the corpus again")
    return list(utterances.values())


def scan_manifest(path: Path) -> tuple[dict[int, Utterance], list[str]]:
    """Read a manifest and return (the sound utterances by line number, what is wrong with the other lines)."""
    utterances: dict[int, Utterance] = {}
    findings: list[str] = []
    first_line: dict[str, int] = {}
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            utterance = _utterance(line, path.parent)
            earlier = first_line.setdefault(utterance.utt_id, number)
            if earlier != number:
                raise ValueError(f"duplicate id {utterance.utt_id!r}, first on line {earlier}")
        except ValueError as error:
            findings.append(f"line {number}: {printable(str(error))}")
        else:
            utterances[number] = utterance
    return utterances, findings


def write_manifest(path: str | os.PathLike[str], utterances: Iterable[Utterance]) -> None:
    """Write a manifest that ``read_manifest`` reads back equal.

    Args:
        path: the file; replaced as a whole.
        utterances: audio below the manifest's folder is written as a relative path, other audio as an absolute one.

    Raises:
        EnvironmentError_: the file cannot be written.
    """
    path = Path(path)
    folder = path.parent.resolve()
    atomic_write(path, "".join(f"{json_text(_record(utterance, folder))}\n" for utterance in utterances))


def write_bad_utterances(path: str | os.PathLike[str], bad: Iterable[BadUtterance]) -> None:
    """Write the records of what was left out, one JSON object a line.

    Raises:
        EnvironmentError_: the file cannot be written.
    """
    atomic_write(Path(path), "".join(f"{json_text(record.to_json())}\n" for record in bad))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line); of a line longer than allowed only the beginning."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_LINE_BYTES + 1):
                number += 1
                yield number, line
                while len(line) > _MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = file.readline(_MAX_LINE_BYTES + 1)
    except OSError as error:
        fix = "run `asr-ligru prepare` first, or correct corpus.dir"
        raise DataError(f"cannot read manifest: {error.strerror}", where=str(path), fix=fix) from error


def _utterance(line: bytes, folder: Path) -> Utterance:
    """Parse one line; whatever is wrong with it is a ``ValueError``."""
    if len(line) > _MAX_LINE_BYTES:
        raise ValueError(f"longer than {_MAX_LINE_BYTES} bytes")
    try:
        text = line.decode("utf-8-sig").rstrip()
        record = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("not a manifest record: nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError(f"expected an object in braces, got {type(record).__name__}")
    for key in _REQUIRED:
        if key not in record:
            raise ValueError(f"missing key {key!r}")
    for key, value in record.items():
        _check(key, value)
    if ("start_byte" in record) != ("num_bytes" in record):
        raise ValueError("start_byte and num_bytes: expected both or none")
    return Utterance(
        utt_id=record["id"],
        audio_path=folder / record["audio_filepath"],
        duration_s=float(record["duration"]),
        text=record["text"],
        speaker=record.get("speaker", ""),
        offset_s=float(record.get("offset", 0.0)),
        snr_db=float(record["snr_db"]) if "snr_db" in record else None,
        part=(record["start_byte"], record["num_bytes"]) if "start_byte" in record else None,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"duplicate key {next(key for key, count in counts.items() if count > 1)!r}")
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _check(key: str, value: Any) -> None:
    if key not in _KINDS:
        raise ValueError(f"unknown key {key!r} ({nearest(key, _KINDS)})")
    if not isinstance(value, _KINDS[key]) or isinstance(value, bool):
        expected = "a string" if _KINDS[key] == (str,) else "a number"
        raise ValueError(f"{key}: expected {expected}, got {type(value).__name__}")
    if isinstance(value, str):
        _check_text(key, value)
    elif isinstance(value, (int, float)):
        _check_number(key, value)


def _check_text(key: str, value: str) -> None:
    surrogate = next((i for i, char in enumerate(value) if "\ud800" <= char <= "\udfff"), None)
    if surrogate is not None:
        raise ValueError(f"{key}: half of a surrogate pair at position {surrogate}")
    if key == "id" and not value:
        raise ValueError("id: empty")
    if key == "audio_filepath" and (not value or "\0" in value):
        raise ValueError("audio_filepath: empty, or with a NUL character")
    if key == "audio_filepath" and (value.rstrip().endswith("|") or value.startswith(("ark:", "http:", "https:"))):
        raise ValueError(f"audio_filepath: commands, archives and addresses are not opened: {value!r}")


def _check_number(key: str, value: float) -> None:
    allowed, expected = {  # 1e999 is read as infinity
        "offset": (0 <= value <= _MAX_TIME_S, f"seconds, at least 0 and at most {_MAX_TIME_S:g}"),
        "duration": (0 < value <= _MAX_TIME_S, f"seconds, above 0 and at most {_MAX_TIME_S:g}"),
        "snr_db": (abs(value) <= _MAX_SNR_DB, "decibels"),
        "start_byte": (0 <= value <= _MAX_FILE_BYTES, "bytes, at least 0"),
        "num_bytes": (0 < value <= _MAX_FILE_BYTES, "bytes, at least 1"),
    }[key]
    if not allowed:
        raise ValueError(f"{key}: expected {expected}, got {str(value)[:20]}")


def _record(utterance: Utterance, folder: Path) -> dict[str, Any]:
    audio = utterance.audio_path.resolve()
    known = {} if utterance.snr_db is None else {"snr_db": utterance.snr_db}
    start, size = utterance.part or (0, 0)
    part = {"start_byte": start, "num_bytes": size} if utterance.part else {}
    return {
        "id": utterance.utt_id,
        "audio_filepath": str(audio.relative_to(folder) if audio.is_relative_to(folder) else audio),
        "offset": utterance.offset_s,
        "duration": utterance.duration_s,
        "text": utterance.text,
        "speaker": utterance.speaker,
        **known,
        **part,
    }
