"""Read LJ Speech: one speaker, and a table of what she reads."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder, read_lines
from asr_ligru.typing import Utterance

# SHA-256 as in torchaudio 2.11, torchaudio/datasets/ljspeech.py.
ARCHIVES = (
    Archive(
        "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
        digest="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
        stated_by="torchaudio.datasets.LJSPEECH",
        megabytes=2_749,
    ),
)

HELD_OUT = {"LJ049": "dev", "LJ050": "test"}  # the last two of the fifty parts
_LINE = re.compile(r"(?P<id>(?P<part>LJ\d{3})-\d{4})\|(?P<raw>[^|]*)(?:\|(?P<text>[^|]*))?")


def prepare(root: Path, out: Path) -> Listing:
    """List the sentences of LJ Speech.

    Args:
        root: the folder that holds ``metadata.csv``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``dev`` (part LJ049), ``test`` (LJ050) and ``train`` (all before), with numbers and abbreviations spelled out.
        The corpus has no official sets.

    Raises:
        DataError: the folder is not LJ Speech.
    """
    del out
    corpus = find_folder(root, "metadata.csv")
    listing = Listing({"train": [], "dev": [], "test": []})
    named = set()
    for number, line in read_lines(corpus / "metadata.csv"):
        match = _LINE.fullmatch(line)
        if match is None:
            listing.leave_out_line(number, "id|text|text spelled out", line, corpus / "metadata.csv")
            continue
        path = corpus / "wavs" / f"{match['id']}.wav"
        named.add(path)
        text = " ".join((match["text"] or match["raw"]).split())
        split = HELD_OUT.get(match["part"], "train")
        listing.splits[split].append(Utterance(match["id"], path, TO_MEASURE, text, "LJ"))
    listing.leave_out_unnamed((corpus / "wavs").glob("*.wav"), named)
    return listing
