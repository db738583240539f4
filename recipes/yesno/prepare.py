"""Read waves_yesno, written in English and in the Hebrew that is spoken."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder
from asr_ligru.typing import BadUtterance, Utterance

ARCHIVES = (
    Archive(
        "https://www.openslr.org/resources/1/waves_yesno.tar.gz",
        digest="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
        stated_by="torchaudio.datasets.YESNO",
    ),
)

WORDS = {"": ("NO", "YES"), "hebrew/": ("לא", "כן")}  # by the folder of the manifests
_NAME = re.compile(r"[01](?:_[01])*\.wav")
_DEV_EVERY = 6  # each sixth file of the first half


def prepare(root: Path, out: Path) -> Listing:
    """List the files of waves_yesno.

    Args:
        root: the folder ``waves_yesno``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        Of the files sorted by name the first half, each sixth of them as ``dev`` (5) and the others as ``train``
        (25), and the second half as ``test`` (30); the same under ``hebrew/`` with Hebrew words.

    Raises:
        DataError: the folder is not waves_yesno.
    """
    del out
    folder = find_folder(root, "[01]_[01]*.wav")
    waves = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    left_out = [
        BadUtterance(path.stem, "prepare", "its name is not its transcript", str(path))
        for path in sorted(folder.glob("*.wav"))
        if path not in waves
    ]
    splits: dict[str, list[Utterance]] = {}
    for variant, words in WORDS.items():
        utterances = [_utterance(path, words) for path in waves]
        half = len(utterances) // 2
        splits[f"{variant}train"] = [u for i, u in enumerate(utterances[:half], 1) if i % _DEV_EVERY]
        splits[f"{variant}dev"] = utterances[:half][_DEV_EVERY - 1 :: _DEV_EVERY]
        splits[f"{variant}test"] = utterances[half:]
    return Listing(splits, left_out)


def _utterance(path: Path, words: tuple[str, str]) -> Utterance:
    text = " ".join(words[int(digit)] for digit in path.stem.split("_"))
    return Utterance(path.stem, path, TO_MEASURE, text, "yesno")
