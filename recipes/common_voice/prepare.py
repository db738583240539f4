"""Read any language of Common Voice, from its tables and clips."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder, read_lines
from asr_ligru.errors import DataError
from asr_ligru.typing import Utterance

SPLITS = ("train", "dev", "test", "validated")
_OTHERS = ("invalidated", "other")  # clips that no split takes
_COLUMNS = ("client_id", "path", "sentence")
_STRAIGHT = str.maketrans("\u2018\u2019\u02bc\u201c\u201d\u201e\u00ab\u00bb", '\'\'\'"""""')


def prepare(root: Path, out: Path) -> Listing:
    """List the clips of one language.

    Args:
        root: the folder of the language, which holds ``train.tsv`` and ``clips``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``train``, ``dev``, ``test`` and ``validated`` as the tables of these names have them. ``validated`` holds the
        clips of the others too.

    Raises:
        DataError: the folder is not Common Voice, holds several languages, or a table lacks a column.
    """
    del out
    corpus = find_folder(root, "train.tsv", "validated.tsv")
    languages = sorted(path.parent.name for path in corpus.parent.glob("*/validated.tsv"))
    if corpus != root and len(languages) > 1:
        raise DataError(f"several languages: {', '.join(languages)}", where=str(root), fix="name one with --root")
    listing = Listing({}, disjoint_speakers=("train", "dev", "test"))
    named = set()
    for split in SPLITS:
        listing.splits[split] = list(_read_table(corpus, split, listing))
        named |= {u.audio_path for u in listing.splits[split]}
    for table in _OTHERS:
        clips = {u.audio_path for u in _read_table(corpus, table, Listing({}))}
        named |= clips
        if clips:
            listing.notes.append(f"{len(clips)} clips of {table}.tsv are in no split")
    listing.leave_out_unnamed((corpus / "clips").glob("*.mp3"), named)
    if listing.splits["validated"]:
        listing.notes.append("validated holds the clips of dev and test too: not for training as it is")
    return listing


def clean(sentence: str) -> str:
    """Return a sentence in NFC with straight quotation marks, none around the whole, and single spaces."""
    text = unicodedata.normalize("NFC", sentence).translate(_STRAIGHT).replace('""', '"')
    text = " ".join(text.split())
    while len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def _read_table(corpus: Path, name: str, listing: Listing) -> Iterator[Utterance]:
    path = corpus / f"{name}.tsv"
    if not path.is_file():
        return
    lines = read_lines(path)
    header = next(lines, (1, ""))[1].split("\t")
    absent = [column for column in _COLUMNS if column not in header]
    if absent:
        raise DataError(f"a table without the column {absent[0]}", where=str(path), fix="unpack the corpus again")
    places = [header.index(column) for column in _COLUMNS]
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) <= max(places) or not fields[places[1]]:
            listing.leave_out_line(number, "\\t".join(header[:4]), line, path)
            continue
        speaker, clip, sentence = (fields[place] for place in places)
        audio = corpus / "clips" / (clip if Path(clip).suffix else f"{clip}.mp3")
        yield Utterance(audio.stem, audio, TO_MEASURE, clean(sentence), speaker)
