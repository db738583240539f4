"""Read TIMIT: phones of 61, 48 or 39 kinds, the core test set and the usual development set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder, read_lines
from asr_ligru.text.timit import PHONES, PHONES_48, PHONES_61, fold_phones, merge_phones
from asr_ligru.typing import Utterance

from .speakers import CORE_TEST, DEV

# Some copies have lower-case names, some have WAV files beside the SPHERE files, called SI1027.WAV.wav.
_TRAIN = "[Tt][Rr][Aa][Ii][Nn]"
_TEST = "[Tt][Ee][Ss][Tt]"
_LINE = re.compile(r"\d+\s+\d+\s+(?P<phone>\S+)")


def prepare(root: Path, out: Path) -> Listing:
    """List the sentences of TIMIT, without SA1 and SA2, which all 630 people say.

    Args:
        root: the folder that holds ``TRAIN`` and ``TEST``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``train`` (462 speakers), ``dev`` (50 of the other 168) and ``test`` (24 others), written in 48 phones; the same
        under ``61/`` and ``39/`` in as many. The lexicon says each phone as itself.

    Raises:
        DataError: the folder is not TIMIT.
    """
    del out
    corpus = find_folder(root, f"{_TRAIN}/[Dd][Rr]1")
    listing = Listing({"train": [], "dev": [], "test": []}, disjoint_speakers=("train", "dev", "test"))
    unused = 0
    for part in (_TRAIN, _TEST):
        for utterance in _read_part(corpus, part, listing):
            split = _split(utterance.speaker) if part == _TEST else "train"
            unused += not split
            if split:
                listing.splits[split].append(utterance)
    if unused:
        listing.notes.append(f"{unused} sentences of the test speakers outside of the core test and development sets")
    of_61 = dict(listing.splits)
    listing.splits = {split: [replace(u, text=merge_phones(u.text)) for u in found] for split, found in of_61.items()}
    for split, found in of_61.items():
        listing.splits[f"61/{split}"] = found
        listing.splits[f"39/{split}"] = [replace(u, text=fold_phones(u.text)) for u in found]
    listing.lexicon = _lexicon(PHONES_48)
    listing.lexicons = {"61": _lexicon(PHONES_61), "39": _lexicon(PHONES)}
    return listing


def _read_part(corpus: Path, part: str, listing: Listing) -> Iterator[Utterance]:
    """Yield the sentences of ``TRAIN`` or ``TEST`` in 61 phones."""
    files = {path.parent / path.name.lower(): path for path in sorted(corpus.glob(f"{part}/[Dd][Rr][1-8]/*/*"))}
    for name in sorted(path for path in files if path.suffix == ".phn" and not path.name.startswith("sa")):
        phones = _phones(files[name], listing)
        speaker = name.parent.name.lower()
        copies = (files.get(name.with_suffix(suffix)) for suffix in (".wav", ".wav.wav"))
        audio = next((path for path in copies if path), files[name].with_suffix(".WAV"))
        if phones:
            yield Utterance(f"{speaker}_{name.stem}", audio, TO_MEASURE, phones, speaker)
    audible = {path.parent / path.name.partition(".")[0]: file for path, file in files.items() if path.suffix == ".wav"}
    listing.leave_out_unnamed(audible.values(), (f for p, f in audible.items() if p.with_suffix(".phn") in files))


def _phones(path: Path, listing: Listing) -> str:
    """Return the phones of a transcript, or nothing where one of its lines cannot be read."""
    phones = []
    for number, line in read_lines(path):
        match = _LINE.fullmatch(line)
        if match is None or match["phone"].lower() not in PHONES_61:
            listing.leave_out_line(number, "begin end phone", line, path)
            return ""
        phones.append(match["phone"].lower())
    return " ".join(phones)


def _split(speaker: str) -> str:
    return "dev" if speaker in DEV else "test" if speaker in CORE_TEST else ""


def _lexicon(phones: tuple[str, ...]) -> list[str]:
    return [f"{phone} {phone}" for phone in phones]
