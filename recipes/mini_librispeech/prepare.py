"""Read Mini LibriSpeech: LibriSpeech's layout with a small training and a small development part."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import Listing, find_folder, read_lines

from ..librispeech.parts import LEXICON, read_lexicon, read_part

_STATED_BY = "https://www.openslr.org/resources/31/md5sum.txt"
ARCHIVES = (
    Archive(
        "https://www.openslr.org/resources/31/train-clean-5.tar.gz",
        algorithm="md5",
        digest="5df7d4e78065366204ca6845bb08f490",
        stated_by=_STATED_BY,
        megabytes=332,
    ),
    Archive(
        "https://www.openslr.org/resources/31/dev-clean-2.tar.gz",
        algorithm="md5",
        digest="6d7ab67ac6a1d2c993d050e16d61080d",
        stated_by=_STATED_BY,
        megabytes=126,
    ),
    Archive(f"https://www.openslr.org/resources/11/{LEXICON}", megabytes=6),  # nobody states its checksum
)

_TRAIN = "train-clean-5"
_HELD_OUT = ("dev-clean-2", "dev-clean-5")  # the official part; a stand-in made of train-clean-5


def prepare(root: Path, out: Path) -> Listing:
    """List the utterances of Mini LibriSpeech.

    Args:
        root: the folder ``LibriSpeech``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``train``, and the held-out part cut in two by speakers: ``dev`` and ``test``. The corpus has no test set of
        its own; of each sex's speakers in the order of their numbers every second one is ours. The
        lexicon of OpenSLR 11 where it is.

    Raises:
        DataError: the folder is not Mini LibriSpeech.
    """
    del out
    listing = Listing({"train": [], "dev": [], "test": []}, disjoint_speakers=("train", "dev", "test"))
    train = find_folder(root, _TRAIN)
    listing.splits["train"] = read_part(train / _TRAIN, listing)
    held_out = find_folder(root, *_HELD_OUT)
    name = next(name for name in _HELD_OUT if (held_out / name).is_dir())
    utterances = read_part(held_out / name, listing)
    test = _every_second({u.speaker for u in utterances}, _sexes(held_out / "SPEAKERS.TXT"))
    listing.splits["dev"] = [u for u in utterances if u.speaker not in test]
    listing.splits["test"] = [u for u in utterances if u.speaker in test]
    listing.lexicon = read_lexicon(root)
    return listing


def _sexes(path: Path) -> dict[str, str]:
    """Read LibriSpeech's ``SPEAKERS.TXT``: number | sex | ..., comments after a semicolon."""
    if not path.is_file():
        return {}
    rows = (line.split("|") for _, line in read_lines(path) if not line.startswith(";"))
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1}


def _every_second(speakers: set[str], sexes: dict[str, str]) -> set[str]:
    chosen: set[str] = set()
    for sex in sorted({sexes.get(speaker, "") for speaker in speakers}):
        group = sorted((speaker for speaker in speakers if sexes.get(speaker, "") == sex), key=int)
        chosen.update(group[1::2])
    return chosen
