"""Read waves_yesno, written in English and in the Hebrew that is spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from asr_ligru.data import audio
from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder
from asr_ligru.errors import DataError
from asr_ligru.typing import BadUtterance, Utterance

from .pauses import find_boundaries

ARCHIVES = (
    Archive(
        "https://www.openslr.org/resources/1/waves_yesno.tar.gz",
        digest="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
        stated_by="torchaudio.datasets.YESNO",
        megabytes=5,
    ),
)

WORDS = {"": ("NO", "YES"), "hebrew/": ("לא", "כן")}  # by the folder of the manifests
_NAME = re.compile(r"[01](?:_[01])*\.wav")
_DEV_EVERY = 6  # each sixth file of the first half


def prepare(root: Path, out: Path) -> Listing:
    """List the files of waves_yesno.

    Args:
        root: the folder ``waves_yesno``, or one up to two folders above it.
        out: where shortened files are written, in the folder ``shortened``; the others stay where they are.

    Returns:
        Of the files sorted by name the first half, each sixth of them as ``dev`` (5 files) and the others as ``train``
        (25), and the second half as ``test`` (30); the same under ``hebrew/`` with Hebrew words. Files of ``train`` and
        ``dev`` are there eight times, whole and without the first one to seven words.

    Raises:
        DataError: the folder is not waves_yesno.
    """
    folder = find_folder(root, "[01]_[01]*.wav")
    waves = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    left_out = [
        BadUtterance(path.stem, "prepare", "its name is not its transcript", str(path))
        for path in sorted(folder.glob("*.wav"))
        if path not in waves
    ]
    half = len(waves) // 2
    shortened = out / "shortened"
    shortened.mkdir(exist_ok=True)
    known = [u for path in waves[:half] for u in _with_shortened(path, shortened)]
    dev = tuple(path.stem for path in waves[_DEV_EVERY - 1 : half : _DEV_EVERY])
    splits: dict[str, list[Utterance]] = {}
    for variant, words in WORDS.items():
        seen = [_written(u, words) for u in known]
        splits[f"{variant}train"] = [u for u in seen if not u.utt_id.startswith(dev)]
        splits[f"{variant}dev"] = [u for u in seen if u.utt_id.startswith(dev)]
        splits[f"{variant}test"] = [_written(_whole(path), words) for path in waves[half:]]
    return Listing(splits, left_out)


def _whole(path: Path) -> Utterance:
    return Utterance(path.stem, path, TO_MEASURE, path.stem.replace("_", " "), "yesno")


def _with_shortened(path: Path, folder: Path) -> Iterator[Utterance]:
    """Yield the whole file, and it without its first word, its first two, ...

    All files of the first half begin with NO, which a model that sees only whole files learns from the silence before.
    A file that is unreadable, which measuring it records, or too short for its words is not shortened.
    """
    whole = _whole(path)
    yield whole
    digits = whole.text.split()
    try:
        wav, rate = audio.read(path), audio.probe(path).sample_rate_hz
        boundaries = find_boundaries(wav, rate, len(digits))
    except (DataError, ValueError):
        return
    begin = round(boundaries[0] * rate)
    for first in range(1, len(digits)):
        shortened = folder / f"{path.stem}-from{first}.wav"
        audio.write(shortened, torch.cat([wav[:begin], wav[round(boundaries[first] * rate) :]]), rate)
        yield replace(whole, utt_id=shortened.stem, audio_path=shortened, text=" ".join(digits[first:]))


def _written(utterance: Utterance, words: tuple[str, str]) -> Utterance:
    return replace(utterance, text=" ".join(words[int(digit)] for digit in utterance.text.split()))
