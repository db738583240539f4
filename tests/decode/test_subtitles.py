"""Subtitles as a player reads them: FFmpeg, through PyAV."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.decode.subtitles import srt, vtt
from asr_ligru.decode.transcript import Segment, Transcript, Word
from tests.decode.test_writers import segment, transcript

av = pytest.importorskip("av", reason="the media extra is not installed")

LONG = " ".join(f"word{n}" for n in range(60))
TEXTS = ("שלום עולם", "naïve 日本語 text", "1", "a --> b", "x", LONG)


def played(text: str, kind: str, folder: Path) -> list[tuple[float, float, str]]:
    """Return start and end (seconds) and text of each cue that FFmpeg finds."""
    path = folder / f"x.{kind}"
    path.write_text(text, encoding="utf-8")
    with av.open(str(path)) as media:
        (stream,) = media.streams
        cues = []
        for packet in media.demux(stream):
            if packet.pts is None:
                continue
            unit = float(packet.time_base)
            cues.append((packet.pts * unit, (packet.pts + packet.duration) * unit, bytes(packet).decode("utf-8")))
        return cues


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_are_what_a_player_reads(kind: str, tmp_path: Path) -> None:
    heard = transcript(*TEXTS)
    cues = played({"srt": srt, "vtt": vtt}[kind](heard), kind, tmp_path)
    shown = " ".join(" ".join(text.split()) for _, _, text in cues)
    expected = " ".join(TEXTS).replace("-->", "--&gt;" if kind == "vtt" else "--›")
    assert shown == expected
    assert all(0 < end - start <= 7.5 for start, end, _ in cues)
    assert all(len(line) <= 42 for _, _, text in cues for line in text.splitlines())
    assert all(len(text.splitlines()) <= 2 for _, _, text in cues)
    starts = {round(start, 3) for start, _, _ in cues}
    assert {10.0 * n for n in range(len(TEXTS))} <= starts


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_of_words_last_as_long_as_they(kind: str, tmp_path: Path) -> None:
    cues = played({"srt": srt, "vtt": vtt}[kind](transcript("a b c"), word_times=True), kind, tmp_path)
    assert [(round(s, 3), round(e, 3), text) for s, e, text in cues] == [
        (0.0, 0.4, "a"),
        (0.5, 0.9, "b"),
        (1.0, 1.4, "c"),
    ]


def test_subtitles_markup_of_untrusted_text_is_shown_not_obeyed() -> None:
    heard = transcript("<b>x</b> {\\an8} & \x1b[2J")
    assert "‹b›x‹/b› (\\an8) & \\x1b[2J" in srt(heard)
    assert "&lt;b&gt;x&lt;/b&gt; {\\an8} &amp; \\x1b[2J" in vtt(heard)


def test_subtitles_of_channels_name_them() -> None:
    both = Transcript("x.wav", 9.0, (segment("a", 0.0, 0), segment("b", 0.5, 1)))
    assert "\n[1] b\n" in srt(both)
    assert "\n<v channel 1>b\n" in vtt(both)


def test_subtitles_beyond_a_day_and_of_no_length(tmp_path: Path) -> None:
    late = Segment(360_000.0, 360_001.0, "x", (Word("x", 360_000.5, 360_000.5, 1.0),), 1.0, 0.0, (("x", 0.0),))
    assert srt(Transcript("x", 360_001.0, (late,))).splitlines()[1] == "100:00:00,500 --> 100:00:00,501"


def test_subtitles_of_nothing_are_still_a_file(tmp_path: Path) -> None:
    assert srt(transcript()) == ""
    assert vtt(transcript("")) == "WEBVTT\n\n"
