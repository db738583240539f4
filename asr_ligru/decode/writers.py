"""Transcripts as text, in the formats that people and scoring tools read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from asr_ligru.decode.subtitles import srt, vtt
from asr_ligru.decode.transcript import Segment, Transcript
from asr_ligru.registry import Registry
from asr_ligru.safety import json_text, printable


@dataclass(frozen=True)
class Style:
    """What is written of a transcript.

    Attributes:
        utt_id: what trn and ctm call it.
        label: stands, with a tab, before each line of txt; empty for none.
        word_times: words with their times (json, tsv, srt, vtt); ctm has them always.
        confidence: how sure they are (json, tsv); ctm has it always.
        alone: whether the text is a file of its own: json is indented, and tsv has its header.
    """

    utt_id: str
    label: str = ""
    word_times: bool = False
    confidence: bool = False
    alone: bool = True


Writer = Callable[[Transcript, Style], str]
WRITERS: Registry[Writer] = Registry("format")
FAILED_TOO = ("json", "trn")  # have a line for what failed, so that scoring counts it

WRITERS.register("srt")(lambda transcript, style: srt(transcript, style.word_times))
WRITERS.register("vtt")(lambda transcript, style: vtt(transcript, style.word_times))


@WRITERS.register("txt")
def txt(transcript: Transcript, style: Style) -> str:
    """Return a line for each segment; an empty one where nothing was heard."""
    label = f"{printable(style.label)}\t" if style.label else ""
    return "".join(f"{label}{printable(text)}\n" for text in [s.text for s in transcript.segments if s.text] or [""])


@WRITERS.register("json")
def json(transcript: Transcript, style: Style) -> str:
    """Return one object; ``asr-ligru score`` reads lines of them."""
    record = {
        "id": transcript.source,
        "status": transcript.status,
        "duration_s": _round(transcript.duration_s),
        "text": transcript.text,
        "segments": [_segment(segment, style) for segment in transcript.segments],
    }
    return json_text(record, indent=1 if style.alone else None) + "\n"


def _segment(segment: Segment, style: Style) -> dict[str, Any]:
    record: dict[str, Any] = {"start_s": _round(segment.start_s), "end_s": _round(segment.end_s), "text": segment.text}
    if segment.channel is not None:
        record["channel"] = segment.channel
    if style.confidence:
        record["confidence"] = _round(segment.confidence)
    if style.word_times or style.confidence:
        record["words"] = [
            {
                "text": word.text,
                **({"start_s": _round(word.start_s), "end_s": _round(word.end_s)} if style.word_times else {}),
                **({"confidence": _round(word.confidence)} if style.confidence else {}),
            }
            for word in segment.words
        ]
    if len(segment.n_best) > 1:
        record["n_best"] = [{"text": text, "score": _round(score)} for text, score in segment.n_best]
    return record


@WRITERS.register("tsv")
def tsv(transcript: Transcript, style: Style) -> str:
    """Return a row for each segment, or for each word: file, channel, start, end, perhaps confidence, text."""
    names = ["file", "channel", "start_s", "end_s", *(["confidence"] if style.confidence else []), "text"]
    rows = [names] if style.alone else []
    for segment in transcript.segments:
        for part in segment.words if style.word_times else (segment,):
            sure = [f"{part.confidence:.3f}"] if style.confidence else []
            place = [transcript.source, _channel(segment), f"{part.start_s:.3f}", f"{part.end_s:.3f}"]
            rows.append([*place, *sure, part.text])
    return "".join("\t".join(map(printable, row)) + "\n" for row in rows)


@WRITERS.register("trn")
def trn(transcript: Transcript, style: Style) -> str:
    """Return ``words (id)``, a line for each channel that was decoded by itself (id-0, id-1, ...)."""
    channels = _by_channel(transcript) or [(None, [])]
    lines = []
    for channel, segments in channels:
        words = " ".join(_word(word) for segment in segments for word in segment.text.split())
        utt_id = _word(style.utt_id) if channel is None else f"{_word(style.utt_id)}-{channel}"
        lines.append(f"{words} ({utt_id})\n".lstrip(" "))
    return "".join(lines)


@WRITERS.register("ctm")
def ctm(transcript: Transcript, style: Style) -> str:
    """Return ``recording channel begin duration word confidence`` for each word; channels count from 1."""
    return "".join(
        f"{_word(style.utt_id)} {int(channel or 0) + 1} {word.start_s:.2f} {max(0.01, word.end_s - word.start_s):.2f} "
        f"{_word(word.text)} {word.confidence:.2f}\n"
        for channel, segments in _by_channel(transcript)
        for segment in segments
        for word in segment.words
    )


def _by_channel(transcript: Transcript) -> list[tuple[int | None, list[Segment]]]:
    ordered = sorted(transcript.segments, key=lambda s: (s.channel or 0, s.start_s))
    return [(channel, list(segments)) for channel, segments in groupby(ordered, key=lambda s: s.channel)]


def _channel(segment: Segment) -> str:
    return "mix" if segment.channel is None else str(segment.channel)


def _word(text: str) -> str:
    """Return a text as one field of NIST's formats: what would end it, or means something there, becomes %XX."""
    return "".join(_escaped(text))


def _escaped(text: str) -> Iterator[str]:
    for number, char in enumerate(text):
        special = char in "(){}%" or char.isspace() or printable(char) != char or (number == 0 and char in ";*<@")
        raw = char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")
        yield "".join(f"%{byte:02X}" for byte in raw) if special else char


def _round(value: float) -> float:
    return round(value, 3)
