"""Read AMI's meetings from the headset microphones and the manual annotations (words and segments)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from asr_ligru.data.layout import Listing, find_folder, read_xml
from asr_ligru.data.segments import Recordings
from asr_ligru.typing import Utterance

from .meetings import split_of

_NITE = "{http://nite.sourceforge.net/}"
_RANGE = re.compile(r"[^#]*#id\((?P<first>[^)]+)\)(?:\.\.id\((?P<last>[^)]+)\))?")


@dataclass(frozen=True)
class _Person:
    """Somebody in a meeting: the letter of the annotations, the headset, and the name for all meetings."""

    meeting: str
    letter: str
    headset: str
    name: str


def prepare(root: Path, out: Path) -> Listing:
    """List the segments of all meetings whose annotations are there.

    Args:
        root: a folder with the annotations (``words``, ``segments`` and ``corpusResources``) and the audio
            (``<meeting>/audio/<meeting>.Headset-<n>.wav``), each at most two folders below.
        out: not used; the files stay where they are.

    Returns:
        ``train``, ``dev`` and ``test`` of the full-corpus-ASR partition, words as they are written, without
        punctuation.

    Raises:
        DataError: annotations or audio are not there, or a file is not XML.
    """
    del out
    notes = find_folder(root, "corpusResources/meetings.xml")
    audio = find_folder(root, "*/audio/*.Headset-?.wav")
    listing = Listing({"train": [], "dev": [], "test": []})
    recordings, named = Recordings(), set()
    for person in _people(notes / "corpusResources" / "meetings.xml"):
        path = audio / person.meeting / "audio" / f"{person.meeting}.Headset-{person.headset}.wav"
        named.add(path)
        split = split_of(person.meeting)
        segments = notes / "segments" / f"{person.meeting}.{person.letter}.segments.xml"
        words = notes / "words" / f"{person.meeting}.{person.letter}.words.xml"
        if not split or not segments.is_file() or not words.is_file():
            reason = "no annotations" if split else "in no part of the partition"
            listing.leave_out(f"{person.meeting}.{person.letter}", reason, path)
            continue
        for segment in _read_segments(person, path, read_xml(segments), read_xml(words), listing):
            recordings.add(listing, split, segment)
    listing.leave_out_unnamed(audio.glob("*/audio/*.Headset-?.wav"), named)
    return listing


def _people(path: Path) -> Iterator[_Person]:
    for meeting in read_xml(path).iter("meeting"):
        for speaker in meeting.iter("speaker"):
            yield _Person(
                meeting.get("observation", ""),
                speaker.get(f"{_NITE}agent") or speaker.get("nxt_agent") or "",
                speaker.get("channel", ""),
                speaker.get("global_name", ""),
            )


def _read_segments(
    person: _Person, path: Path, segments: Element, words: Element, listing: Listing
) -> Iterator[Utterance]:
    """Yield what one person says, segment by segment; one without words is laughter or a cough and left out."""
    elements = list(words)
    places = {element.get(f"{_NITE}id"): place for place, element in enumerate(elements)}
    for number, segment in enumerate(segments.iter("segment")):
        utt_id = f"{person.meeting}-{person.letter}-{number:04d}"
        begin, end = segment.get("transcriber_start"), segment.get("transcriber_end")
        child = segment.find(f"{_NITE}child")
        match = _RANGE.fullmatch(child.get("href", "") if child is not None else "")
        first = places.get(match["first"]) if match else None
        last = places.get(match["last"] or match["first"]) if match else None
        if begin is None or end is None or first is None or last is None or float(end) <= float(begin):
            listing.leave_out(utt_id, "a segment without times or words that are there", path)
            continue
        text = " ".join(_words(elements[first : last + 1]))
        if not text:
            listing.leave_out(utt_id, "no words: laughter, a cough or noise", path)
            continue
        yield Utterance(utt_id, path, float(end) - float(begin), text, person.name, float(begin))


def _words(elements: list[Element]) -> Iterator[str]:
    """Yield the words, not punctuation, laughter or gaps."""
    for element in elements:
        if element.tag == "w" and element.get("punc") != "true" and element.text:
            yield "".join(element.text.split())
