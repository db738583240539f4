"""Subtitles: SubRip and WebVTT.

Source: the W3C's WebVTT (cues, escapes); SubRip has no standard, players agree on this much.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from asr_ligru.decode.transcript import Segment, Transcript, Word
from asr_ligru.safety import printable

_LINE_CHARS = 42
_MAX_LINES = 2
_CUE_S = 7.0  # longest time a cue stays
_PAUSE_S = 0.8  # between two words, ends a cue
_SHORTEST_MS = 1


@dataclass(frozen=True, slots=True)
class _Cue:
    start_ms: int
    end_ms: int
    text: str
    channel: int | None


def srt(transcript: Transcript, word_times: bool = False) -> str:
    """Return SubRip: cues of at most two lines, or one for each word."""
    blocks = []
    for number, cue in enumerate(_cues(transcript, word_times), 1):
        who = "" if cue.channel is None else f"[{cue.channel}] "
        times = f"{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}"
        blocks.append(f"{number}\n{times}\n{_lines(who + _no_markup(cue.text))}\n\n")
    return "".join(blocks)


def vtt(transcript: Transcript, word_times: bool = False) -> str:
    """Return WebVTT, in which a channel is a voice."""
    blocks = ["WEBVTT\n\n"]
    for cue in _cues(transcript, word_times):
        who = "" if cue.channel is None else f"<v channel {cue.channel}>"
        times = f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}"
        blocks.append(f"{times}\n{who}{_escaped(_lines(cue.text))}\n\n")
    return "".join(blocks)


def _cues(transcript: Transcript, word_times: bool) -> Iterator[_Cue]:
    for segment in transcript.segments:
        if segment.text and not segment.words:
            yield _cue(segment, segment.start_s, segment.end_s, segment.text)
        for words in _groups(segment.words, word_times):
            yield _cue(segment, words[0].start_s, words[-1].end_s, " ".join(word.text for word in words))


def _cue(segment: Segment, start_s: float, end_s: float, text: str) -> _Cue:
    start_ms = round(1000 * start_s)
    return _Cue(start_ms, max(round(1000 * end_s), start_ms + _SHORTEST_MS), text, segment.channel)


def _groups(words: tuple[Word, ...], word_times: bool) -> Iterator[list[Word]]:
    """Yield the words of each cue."""
    group: list[Word] = []
    for word in words:
        lines = _wrapped(" ".join(each.text for each in (*group, word)))
        long = group and (len(lines) > _MAX_LINES or word.end_s - group[0].start_s > _CUE_S)
        if group and (word_times or long or word.start_s - group[-1].end_s > _PAUSE_S):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(printable(text), _LINE_CHARS, break_long_words=False, break_on_hyphens=False)


def _lines(text: str) -> str:
    return "\n".join(_wrapped(text))


def _no_markup(text: str) -> str:
    """SubRip has no escapes: what players take for markup gets a look-alike."""
    return text.replace("<", "\u2039").replace(">", "\u203a").replace("{", "(").replace("}", ")")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
