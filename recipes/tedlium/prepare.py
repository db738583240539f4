"""Read the releases 1 to 3 of TED-LIUM: whole talks, cut into segments by STM files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import Listing, find_folder, read_lines
from asr_ligru.data.segments import Recordings
from asr_ligru.typing import Utterance

# SHA-256 as in torchaudio 2.11, torchaudio/datasets/tedlium.py; sizes as https://www.openslr.org/51/ has them.
_STATED_BY = "torchaudio.datasets.TEDLIUM"
ARCHIVES = (
    Archive(
        "https://www.openslr.org/resources/51/TEDLIUM_release-3.tgz",
        digest="ad1e454d14d1ad550bc2564c462d87c7a7ec83d4dc2b9210f22ab4973b9eccdb",
        stated_by=_STATED_BY,
        megabytes=54_000,
        part="release3",
        skip_links=True,  # Kaldi's recipe follows links below legacy/
    ),
    Archive(
        "https://www.openslr.org/resources/19/TEDLIUM_release2.tar.gz",
        digest="93281b5fcaaae5c88671c9d000b443cb3c7ea3499ad12010b3934ca41a7b9c58",
        stated_by=_STATED_BY,
        megabytes=37_000,
        part="release2",
        on_request=True,
    ),
    Archive(
        "https://www.openslr.org/resources/7/TEDLIUM_release1.tar.gz",
        digest="30301975fd8c5cac4040c261c0852f57cfa8adbbad2ce78e77e4986957445f27",
        stated_by=_STATED_BY,
        megabytes=23_000,
        part="release1",
        on_request=True,
    ),
)

SPLITS = ("train", "dev", "test")
_LINE = re.compile(
    r"(?P<talk>\S+) \S+ (?P<speaker>\S+) (?P<begin>\d+(?:\.\d+)?) (?P<end>\d+(?:\.\d+)?)"
    r" (?P<labels><[^>]*>) ?(?P<text>.*)"
)
_IGNORED = "ignore_time_segment_in_scoring"
_MARKS = re.compile(r"\(\d+\)|\([^ ]*\)$|<sil>|\{[A-Z]+\}|\[[A-Z]+\]")  # of pronunciations, utterances, pauses, noises
_SUFFIX = re.compile(r" '(?=[a-z]+\b)")  # it 's, they 're


def prepare(root: Path, out: Path) -> Listing:
    """List the segments of the talks.

    Args:
        root: the folder of a release, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``train``, ``dev`` and ``test``; of release 3 those of its ``legacy`` distribution, as everywhere.

    Raises:
        DataError: the folder is not TED-LIUM.
    """
    del out
    corpus = find_folder(root, "dev/stm", "legacy/dev/stm")
    legacy = corpus / "legacy" if (corpus / "legacy").is_dir() else corpus
    listing = Listing({split: [] for split in SPLITS})
    for split in SPLITS:
        folder = legacy / split
        if split == "train" and not any(folder.glob("stm/*.stm")) and (corpus / "data" / "stm").is_dir():
            listing.notes.append("train is data/: legacy/train is not there, as links are not unpacked")
            folder = corpus / "data"
        recordings = Recordings()
        for segment in _read_part(folder, listing):
            recordings.add(listing, split, segment)
    return listing


def clean(text: str) -> str:
    """Return the words of a segment, without marks of noise and pronunciation, and with ``it 's`` as ``it's``."""
    return " ".join(_SUFFIX.sub("'", " ".join(_MARKS.sub(" ", text).split())).split())


def _read_part(folder: Path, listing: Listing) -> Iterator[Utterance]:
    """Yield the segments of all talks of a folder with ``stm`` and ``sph``."""
    talks = sorted((folder / "stm").glob("*.stm"))
    for stm in talks:
        audio = folder / "sph" / f"{stm.stem}.sph"
        for number, line in read_lines(stm):
            match = _LINE.fullmatch(" ".join(line.split()))
            if match is None:
                if not line.startswith(";;"):
                    listing.leave_out_line(number, "talk channel speaker begin end <labels> words", line, stm)
                continue
            text, begin_s, end_s = clean(match["text"]), float(match["begin"]), float(match["end"])
            utt_id = f"{match['talk']}-{round(begin_s * 100):07d}-{round(end_s * 100):07d}"
            if _IGNORED in text or end_s <= begin_s:
                listing.leave_out(utt_id, "not scored" if _IGNORED in text else "no duration", stm)
                continue
            yield Utterance(utt_id, audio, round(end_s - begin_s, 3), text, match["speaker"], begin_s)
    listing.leave_out_unnamed((folder / "sph").glob("*.sph"), (folder / "sph" / f"{t.stem}.sph" for t in talks))
