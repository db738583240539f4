"""Read CHiME-4: one channel of the real and simulated noisy sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder, read_lines
from asr_ligru.errors import DataError
from asr_ligru.typing import Utterance

_TRACK = "isolated_1ch_track"  # has one chosen channel for each sentence of dev and test
_ALL = "isolated"  # has all six
_CHANNEL = ".CH5"  # the one that Kaldi's recipe trains on, and tests on without the track's own folder
_SETS = {"train": "tr05", "dev": "dt05", "test": "et05"}
_KINDS = {"real": "", "simu": "_simu"}
_PLACES = ("bus", "caf", "ped", "str")
_NAME = re.compile(r"(?P<speaker>[FM]\d{2})_[0-9A-Z]{8}_[A-Z]{3}")


def prepare(root: Path, out: Path) -> Listing:
    """List the sentences of CHiME-4.

    Args:
        root: the folder ``data`` of ``CHiME3``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``train`` (real and simulated, channel 5), ``dev`` and ``test`` (real), ``dev_simu`` and ``test_simu``, of the
        one-channel track where it is there.

    Raises:
        DataError: the folder is not CHiME-4.
    """
    del out
    corpus = find_folder(root, "audio/16kHz/isolated*")
    listing = Listing({"train": []})
    for split, prefix in _SETS.items():
        for kind, ending in _KINDS.items():
            found = [u for place in _PLACES for u in _read_folder(corpus, f"{prefix}_{place}_{kind}", split, listing)]
            listing.splits.setdefault("train" if split == "train" else split + ending, []).extend(found)
    listing.disjoint_speakers = ("train", "dev", "test")
    return listing


def _read_folder(corpus: Path, name: str, split: str, listing: Listing) -> Iterator[Utterance]:
    """Yield the sentences of a folder such as ``dt05_bus_real``."""
    track = corpus / "audio" / "16kHz" / _TRACK / name
    one_channel = split != "train" and track.is_dir()
    folder = track if one_channel else corpus / "audio" / "16kHz" / _ALL / name
    ending = "" if one_channel else _CHANNEL
    texts = corpus / "transcriptions" / name
    named = set()
    for transcript in sorted(texts.glob("*.trn")):
        match = _NAME.fullmatch(transcript.stem)
        words = _words(transcript)
        if match is None or not words:
            listing.leave_out(transcript.stem, "expected a line `ID WORDS`, named speaker_sentence_place", transcript)
            continue
        path = folder / f"{transcript.stem}{ending}.wav"
        named.add(path)
        kind = name.rpartition("_")[2].upper()
        yield Utterance(f"{transcript.stem}_{kind}", path, TO_MEASURE, words, match["speaker"])
    listing.leave_out_unnamed(folder.glob(f"*{ending}.wav"), named)


def _words(transcript: Path) -> str:
    """Return the words of a file with one line, ``ID WORDS``; none where it cannot be read."""
    try:
        lines = [line for _, line in read_lines(transcript)]
    except DataError:
        return ""
    return " ".join(lines[0].split()[1:]) if len(lines) == 1 else ""
