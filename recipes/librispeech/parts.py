"""LibriSpeech's layout: a folder for each part, in it one for each speaker and chapter."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data.layout import TO_MEASURE, Listing, find_audio, look_for, read_lines
from asr_ligru.typing import Utterance

LEXICON = "librispeech-lexicon.txt"
_LINE = re.compile(r"(?P<id>(?P<speaker>\d{1,8})-\d{1,8}-\d{1,8})\s+(?P<text>.*)")


def read_part(part: Path, listing: Listing) -> list[Utterance]:
    """Return the utterances of a part; what does not fit is left out of ``listing``.

    Args:
        part: a folder such as ``train-clean-100``, with ``<speaker>/<chapter>`` folders.
        listing: gets lines that cannot be read and audio that no transcript names.
    """
    utterances = []
    for transcripts in sorted(part.glob("*/*/*.trans.txt")):
        chapter, listed = transcripts.parent, set()
        for number, line in read_lines(transcripts):
            match = _LINE.fullmatch(line)
            if match is None:
                listing.leave_out_line(number, "speaker-chapter-number WORDS", line, transcripts)
                continue
            path = find_audio(chapter, match["id"], (".flac", ".wav"))
            listed.add(path)
            utterances.append(Utterance(match["id"], path, TO_MEASURE, match["text"], match["speaker"]))
        listing.leave_out_unnamed(chapter.glob("*.flac"), listed)
    return utterances


def read_lexicon(root: Path) -> list[str]:
    """Return the pronunciations of OpenSLR 11, each once, where the file is in ``root`` or up to two folders below."""
    folder = look_for(root, LEXICON)
    return list(dict.fromkeys(" ".join(line.split()) for _, line in read_lines(folder / LEXICON))) if folder else []
