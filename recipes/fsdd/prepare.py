"""Read the Free Spoken Digit Dataset: the official split, and one that leaves each speaker out."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder
from asr_ligru.typing import BadUtterance, Utterance

# GitHub makes this archive from the tag when asked; nobody states a checksum.
ARCHIVES = (
    Archive("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz", megabytes=16),
)

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]{1,40})_(?P<index>\d{1,4})\.wav")
_TEST, _DEV = range(0, 5), range(5, 10)  # takes of each digit by each speaker


def prepare(root: Path, out: Path) -> Listing:
    """List the digits of FSDD.

    Args:
        root: the folder ``recordings``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``test`` (takes 0-4, the official test set), ``dev`` (takes 5-9) and ``train`` (takes 10-49), of the same
        speakers; and for each speaker ``loso_<speaker>/test`` (all of that speaker), ``loso_<speaker>/dev`` (takes
        0-4 of the others) and ``loso_<speaker>/train`` (the rest of the others).

    Raises:
        DataError: the folder is not FSDD.
    """
    del out
    takes: list[tuple[Utterance, int]] = []
    left_out = []
    for path in sorted(find_folder(root, "[0-9]_*_[0-9]*.wav").iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None:
            left_out.append(BadUtterance(path.stem, "prepare", "not named digit_speaker_take.wav", str(path)))
            continue
        utterance = Utterance(path.stem, path, TO_MEASURE, WORDS[int(match["digit"])], match["speaker"])
        takes.append((utterance, int(match["index"])))
    splits = {
        "train": [utterance for utterance, take in takes if take not in _TEST and take not in _DEV],
        "dev": [utterance for utterance, take in takes if take in _DEV],
        "test": [utterance for utterance, take in takes if take in _TEST],
    }
    speakers = sorted({utterance.speaker for utterance, _ in takes})
    for speaker in speakers:
        splits |= _without(speaker, takes)
    return Listing(splits, left_out, disjoint_speakers=tuple(f"loso_{speaker}/test" for speaker in speakers))


def _without(speaker: str, takes: list[tuple[Utterance, int]]) -> dict[str, list[Utterance]]:
    others = [(utterance, take) for utterance, take in takes if utterance.speaker != speaker]
    return {
        f"loso_{speaker}/train": [utterance for utterance, take in others if take not in _TEST],
        f"loso_{speaker}/dev": [utterance for utterance, take in others if take in _TEST],
        f"loso_{speaker}/test": [utterance for utterance, _ in takes if utterance.speaker == speaker],
    }
