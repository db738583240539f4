"""NIST's time-marked formats: segments of recordings (STM) and words with their times (CTM)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.score.lines import parse_lines

_IGNORED = "ignore_time_segment_in_scoring"
_COMMENT = ";;"
_STM_FIELDS = "recording channel speaker begin end [<labels>] words"
_CTM_FIELDS = "recording channel begin duration word"

Place = tuple[str, str]  # recording and channel


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of an STM file.

    Attributes:
        utt_id: made of recording, channel and times as the file writes them.
        place: recording and channel.
        speaker: who speaks.
        end_s: where it ends in the recording, seconds.
        text: the words.
        scored: False where the file says that its time is not scored.
    """

    utt_id: str
    place: Place
    speaker: str
    end_s: float
    text: str
    scored: bool = True


@dataclass(frozen=True, slots=True)
class Word:
    """One line of a CTM file: a word, its recording and channel, the middle of its time, seconds, and confidence."""

    place: Place
    middle_s: float
    word: str
    confidence: float | None = None


def read_stm(path: Path) -> list[Segment]:
    """Return the segments in the file's order.

    Raises:
        DataError: unreadable, or malformed lines.
    """
    segments: dict[str, Segment] = {}

    def take(number: int, line: str) -> None:
        if line.lstrip().startswith(_COMMENT):
            return
        segment = _segment(line)
        if segments.setdefault(segment.utt_id, segment) is not segment:
            raise ValueError(f"segment {segment.utt_id!r} is there twice")

    parse_lines(path, take)
    return list(segments.values())


def read_ctm(path: Path) -> list[Word]:
    """Return the words of each recording and channel in the order of their times.

    Raises:
        DataError: unreadable, or malformed lines.
    """
    words: list[tuple[float, Word]] = []

    def take(number: int, line: str) -> None:
        if line.lstrip().startswith(_COMMENT):
            return
        fields = line.split()
        if len(fields) not in (5, 6):
            raise ValueError(f"expected {_CTM_FIELDS} and perhaps a confidence, got {len(fields)} fields")
        if fields[4].upper().startswith("<ALT"):
            raise ValueError("alternatives are not scored: keep one of them")
        begin_s, duration_s = _seconds(fields[2]), _seconds(fields[3])
        confidence = _share(fields[5]) if len(fields) == 6 else None
        words.append((begin_s, Word((fields[0], fields[1]), begin_s + duration_s / 2, fields[4], confidence)))

    parse_lines(path, take)
    return [word for _, word in sorted(words, key=lambda item: item[0])]


def words_of_segments(segments: Sequence[Segment], words: Sequence[Word], path: Path) -> dict[str, str]:
    """Return the hypothesis of each segment that is scored, by id; none for a recording without any word.

    A word belongs to the first segment of its recording that ends after the word's middle, but to none before that
    of the word before; a word behind all of them belongs to the last. So none is lost, and one between two segments
    is inserted. NIST's sclite does the same.

    Args:
        segments: of an STM file.
        words: of a CTM file.
        path: the CTM file, for messages.

    Raises:
        DataError: words of a recording or channel that has no segment.
    """
    of_place: dict[Place, list[Segment]] = {}
    for segment in segments:
        of_place.setdefault(segment.place, []).append(segment)
    unknown = sorted({" ".join(word.place) for word in words if word.place not in of_place})
    if unknown:
        raise DataError(
            f"words of {len(unknown)} recordings that have no segment",
            where=printable(f"{path}: {', '.join(unknown[:5])}"),
            fix="score against the segments of the recordings that were decoded",
        )
    left = {place: deque(sorted(found, key=lambda s: s.end_s)) for place, found in of_place.items()}
    heard: dict[str, list[str]] = {}
    for word in words:
        current = left[word.place]
        while len(current) > 1 and current[0].end_s <= word.middle_s:
            current.popleft()
        heard.setdefault(current[0].utt_id, []).append(word.word)
    places = {word.place for word in words}
    return {s.utt_id: " ".join(heard.get(s.utt_id, [])) for s in segments if s.scored and s.place in places}


def words_of_recordings(words: Sequence[Word], path: Path) -> dict[str, str]:
    """Return the words of each recording, its name being the id.

    Raises:
        DataError: a recording has two channels, so that its name says not whose words they are.
    """
    heard: dict[str, list[str]] = {}
    channels: dict[str, str] = {}
    for word in words:
        recording, channel = word.place
        if channels.setdefault(recording, channel) != channel:
            where = printable(f"{path}: {recording}")
            raise DataError("two channels of one recording", where=where, fix="score against an .stm file")
        heard.setdefault(recording, []).append(word.word)
    return {recording: " ".join(said) for recording, said in heard.items()}


def _segment(line: str) -> Segment:
    fields = line.split()
    if len(fields) < 5:
        raise ValueError(f"expected {_STM_FIELDS}, got {len(fields)} fields")
    recording, channel, speaker, begin, end = fields[:5]
    if _seconds(begin) >= _seconds(end):
        raise ValueError(f"the segment ends at {end}, before it begins at {begin}")
    words = fields[6:] if fields[5:] and fields[5].startswith("<") and fields[5].endswith(">") else fields[5:]
    if "{" in words and "/" in words:
        raise ValueError("alternatives in braces are not scored: keep one of them")
    utt_id = f"{recording}-{channel}-{begin}-{end}"
    scored = [word.lower() for word in words] != [_IGNORED]
    return Segment(utt_id, (recording, channel), speaker, _seconds(end), " ".join(words), scored)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"expected seconds, got {text!r}")
    return value


def _share(text: str) -> float | None:
    """Return a confidence; None where it says that there is none, as NIST's programs write it."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
