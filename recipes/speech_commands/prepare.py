"""Read Speech Commands: a folder for each word, and the lists of what is for development and testing."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder, read_lines
from asr_ligru.typing import Utterance

# SHA-256 as in torchaudio 2.11, torchaudio/datasets/speechcommands.py, and TensorFlow Datasets.
_STATED_BY = "torchaudio.datasets.SPEECHCOMMANDS"
ARCHIVES = (
    Archive(
        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        digest="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        stated_by=_STATED_BY,
        megabytes=2_430,
        part="v0.02",
    ),
    Archive(
        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.01.tar.gz",
        digest="743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
        stated_by=_STATED_BY,
        megabytes=1_490,
        part="v0.01",
        on_request=True,
    ),
)

LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
_NOISE = "_background_noise_"
_NAME = re.compile(r"(?P<speaker>[0-9a-f]{1,40})_nohash_\d+")


def prepare(root: Path, out: Path) -> Listing:
    """List the words of Speech Commands.

    Args:
        root: the folder that holds ``validation_list.txt``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``dev`` and ``test`` as the lists say, ``train`` all else; a speaker is in one of them only.

    Raises:
        DataError: the folder is not Speech Commands.
    """
    del out
    corpus = find_folder(root, *LISTS.values())
    listing = Listing({"train": [], "dev": [], "test": []}, disjoint_speakers=("train", "dev", "test"))
    listed = {line: split for split, name in LISTS.items() for _, line in read_lines(corpus / name)}
    words = sorted(path for path in corpus.iterdir() if path.is_dir() and path.name != _NOISE)
    present = {f"{word.name}/{path.name}": path for word in words for path in sorted(word.glob("*.wav"))}
    for name, path in ({name: corpus / name for name in listed} | present).items():
        match = _NAME.fullmatch(path.stem)
        if match is None:
            listing.leave_out(path.stem, "not named speaker_nohash_take.wav", path)
            continue
        word = path.parent.name
        split = listed.get(name, "train")
        listing.splits[split].append(Utterance(f"{word}_{path.stem}", path, TO_MEASURE, word, match["speaker"]))
    noises = len(list((corpus / _NOISE).glob("*.wav")))
    if noises:
        listing.notes.append(f"{noises} recordings of noise in {_NOISE} are not speech")
    return listing
