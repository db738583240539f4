"""References and hypotheses by utterance id, from the formats speech toolkits write."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.score.lines import parse_lines
from asr_ligru.score.timed import read_ctm, read_stm, words_of_recordings, words_of_segments

Side = Literal["ref", "hyp"]

_KEYS: dict[Side, tuple[str, ...]] = {"ref": ("text", "ref"), "hyp": ("hyp", "text")}
_TRN = re.compile(r"(.*)\(([^()]+)\)\s*$", re.DOTALL)


@dataclass(frozen=True)
class Texts:
    """What one file says.

    Attributes:
        texts: by utterance id, in the file's order.
        speakers: by utterance id, where the file names them.
        failed: why there is no text, by utterance id, for what a decoder could not decode.
        snr_db: signal-to-noise ratio by utterance id, where the file knows it.
    """

    texts: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    snr_db: dict[str, float] = field(default_factory=dict)


def read_sides(ref: Path, hyp: Path) -> tuple[Texts, Texts]:
    """Read references and hypotheses.

    The words of a ``.ctm`` file go to the segments of an ``.stm`` file by their times. Between any other formats
    utterances are matched by their ids, a ``.ctm`` file having one for each recording.

    Raises:
        DataError: a file is unreadable, empty or malformed.
    """
    refs = read_texts(ref, "ref")
    if (ref.suffix, hyp.suffix) == (".stm", ".ctm"):
        return refs, Texts(words_of_segments(read_stm(ref), read_ctm(hyp), hyp))
    return refs, read_texts(hyp, "hyp")


def read_texts(path: Path, side: Side) -> Texts:
    """Read one side of a scoring.

    Args:
        path: ``.jsonl``: a manifest (``id``, ``text``, ``speaker``, ``snr_db``) or decoder output (``id``, ``hyp``,
            ``ref``, ``status``); ``.trn``: ``words (id)`` a line; ``.stm``: NIST's segments, their ids made of
            recording, channel and times; ``.ctm``: NIST's time-marked words, the recording being the id; any other:
            Kaldi's text, ``id words`` a line. UTF-8.
        side: which key of a JSON line is meant where there are two.

    Raises:
        DataError: unreadable, empty, or findings: each with its line, up to 50, then a count.
    """
    if path.suffix == ".stm":
        segments = [segment for segment in read_stm(path) if segment.scored]
        found = Texts({s.utt_id: s.text for s in segments}, {s.utt_id: s.speaker for s in segments})
    elif path.suffix == ".ctm":
        found = Texts(words_of_recordings(read_ctm(path), path))
    else:
        found = _read_lines(path, side)
    if not found.texts:
        raise DataError("no utterances", where=printable(str(path)), fix="check that this is the right file")
    return found


def _read_lines(path: Path, side: Side) -> Texts:
    parsers: dict[str, Callable[[str, Side, Texts], str]] = {".jsonl": _json_line, ".trn": _trn_line}
    parse = parsers.get(path.suffix, _kaldi_line)
    found = Texts()
    first: dict[str, int] = {}

    def take(number: int, line: str) -> None:
        utt_id = parse(line, side, found)
        if first.setdefault(utt_id, number) != number:
            raise ValueError(f"duplicate id {utt_id!r}, first on line {first[utt_id]}")

    parse_lines(path, take)
    return found


def _json_line(line: str, side: Side, found: Texts) -> str:
    record = _object(line)
    utt_id = _string(record, "id")
    key = next((key for key in _KEYS[side] if key in record), _KEYS[side][0])
    found.texts[utt_id] = _string(record, key)
    if record.get("speaker"):
        found.speakers[utt_id] = _string(record, "speaker")
    if record.get("status", "ok") != "ok":
        found.failed[utt_id] = _string(record, "status")
    if record.get("snr_db") is not None:
        found.snr_db[utt_id] = _number(record, "snr_db")
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


def _number(record: dict[str, Any], key: str) -> float:
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"key {key!r}: expected a number, got {str(value)[:20]}")
    return float(value)


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
