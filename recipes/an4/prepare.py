"""Read CMU AN4 in any form it circulates in: SPHERE, WAV, FLAC or headerless samples."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data import audio
from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_audio, find_folder, read_lines
from asr_ligru.errors import DataError
from asr_ligru.typing import BadUtterance, Utterance

# CMU's own server speaks plain http only; this is the copy that NVIDIA NeMo's tutorials download.
# Nobody who publishes it states a checksum.
ARCHIVES = (Archive("https://dldata-public.s3.us-east-2.amazonaws.com/an4_sphere.tar.gz", megabytes=64),)

# AN4 has no development set. These ten of the 74 training speakers were chosen before any model was trained, from
# the lists alone: of the speakers with the usual 13 utterances who say no word that no other training speaker says
# (mdcs and mdcs2, perhaps one person, left out), sorted by speaking time within each sex, the three women and seven
# men (21 and 53 train) in the middle of three and seven equal parts. They speak 130 utterances, 0.096 h; the test
# set has 130, 0.099 h. Every word they say is also said by a speaker who stays in training.
DEV_SPEAKERS = frozenset({"fejs", "fjam", "fnsv", "mcen", "mcfl", "meht", "mgah", "mmdg", "mnfe", "mwhw"})

_PARTS = {"train": "an4_clstk", "test": "an4test_clstk"}
_RATE_HZ = 16000
_LINE = re.compile(r"(?P<text>.*?)\s*\((?P<id>[A-Za-z0-9]{1,40}-(?P<speaker>[A-Za-z0-9]{1,40})-[A-Za-z0-9]{1,40})\)")
_VARIANT = re.compile(r"\(\d+\)$")


def prepare(root: Path, out: Path) -> Listing:
    """List the utterances of AN4.

    Args:
        root: the folder with ``etc`` and ``wav``, or one up to two folders above it.
        out: where headerless audio gets a header; nothing is written for the other forms.

    Returns:
        ``train`` (64 speakers), ``dev`` (10 of the training speakers) and ``test`` (10 others), and the lexicon.

    Raises:
        DataError: the folder is not AN4.
    """
    corpus = find_folder(root, "etc/an4_train.transcription")
    listing = Listing({"train": [], "dev": [], "test": []}, disjoint_speakers=("train", "dev", "test"))
    for part, folder in _PARTS.items():
        _read_part(corpus, part, folder, out, listing)
    listing.lexicon = _lexicon(corpus / "etc" / "an4.dic")
    return listing


def _read_part(corpus: Path, part: str, folder: str, out: Path, listing: Listing) -> None:
    listed = set()
    transcripts = corpus / "etc" / f"an4_{part}.transcription"
    for number, line in read_lines(transcripts):
        match = _LINE.fullmatch(line)
        if match is None:
            reason = f"line {number}: expected `WORDS (id-speaker-b)`, got {line[:60]!r}"
            listing.left_out.append(BadUtterance("", "prepare", reason, str(transcripts)))
            continue
        speaker = match["speaker"]
        path = find_audio(corpus / "wav" / folder / speaker, match["id"])
        listed.add(path)
        split = "dev" if part == "train" and speaker in DEV_SPEAKERS else part
        try:
            path = _with_header(path, out)
        except DataError as error:
            listing.left_out.append(BadUtterance(match["id"], "prepare", error.what, str(path)))
            continue
        listing.splits[split].append(Utterance(match["id"], path, TO_MEASURE, _words(match["text"]), speaker))
    for path in sorted((corpus / "wav" / folder).glob("*/*-*-*.*")):
        if path not in listed and path.with_suffix("") not in {p.with_suffix("") for p in listed}:
            listing.left_out.append(BadUtterance(path.stem, "prepare", "no transcript names it", str(path)))


def _words(text: str) -> str:
    return " ".join(word for word in text.split() if word not in ("<s>", "</s>"))


def _with_header(path: Path, out: Path) -> Path:
    """Return ``path``, or of headerless samples a WAV file with the same samples.

    CMU publishes AN4's raw form in both byte orders, and nothing in a file says which one it is.
    """
    if path.suffix != ".raw":
        return path
    copy = out / "wav" / f"{path.stem}.wav"
    copy.parent.mkdir(parents=True, exist_ok=True)
    wav, _ = audio.read_raw(path, _RATE_HZ)
    audio.write(copy, wav, _RATE_HZ)
    return copy


def _lexicon(path: Path) -> list[str]:
    """Read Sphinx's dictionary: ``WORD(2)`` is another pronunciation of ``WORD``."""
    entries = (line.split() for _, line in read_lines(path))
    return [" ".join([_VARIANT.sub("", word), *phones]) for word, *phones in entries]
