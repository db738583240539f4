"""Read LibriSpeech: every part that is there, and the training sets of 100, 460 and 960 hours made of them."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import Listing, find_folder, look_for

from .parts import LEXICON, read_lexicon, read_part

# SHA-256 as in torchaudio 2.11, torchaudio/datasets/librispeech.py; sizes as https://www.openslr.org/12/ has them.
_STATED = {
    "train-clean-100": ("d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2", 6_387),
    "train-clean-360": ("146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf", 23_000),
    "train-other-500": ("ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2", 30_000),
    "dev-clean": ("76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3", 338),
    "dev-other": ("12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365", 314),
    "test-clean": ("39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23", 347),
    "test-other": ("d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29", 329),
}
ARCHIVES = (
    *(
        Archive(
            f"https://www.openslr.org/resources/12/{part}.tar.gz",
            digest=digest,
            stated_by="torchaudio.datasets.LIBRISPEECH",
            megabytes=megabytes,
            part=part,
        )
        for part, (digest, megabytes) in _STATED.items()
    ),
    # Nobody states the lexicon's checksum.
    Archive(f"https://www.openslr.org/resources/11/{LEXICON}", megabytes=6, part="lexicon"),
)

# Folders of manifests, by hours of training speech: what its training set is made of.
TRAINING = {
    "100": ("train-clean-100",),
    "460": ("train-clean-100", "train-clean-360"),
    "960": ("train-clean-100", "train-clean-360", "train-other-500"),
}
HELD_OUT = {"dev": "dev-clean", "test": "test-clean", "dev_other": "dev-other", "test_other": "test-other"}


def prepare(root: Path, out: Path) -> Listing:
    """List the utterances of LibriSpeech.

    Args:
        root: the folder ``LibriSpeech``, or one up to two folders above it; some of the seven parts suffice.
        out: not used; the files stay where they are.

    Returns:
        Each part that is there, with ``_`` for ``-``; and ``100``, ``460`` and ``960``, each with ``train``, ``dev``,
        ``test``, ``dev_other`` and ``test_other``, where their parts are there. The lexicon of OpenSLR 11 where it is.

    Raises:
        DataError: the folder has no part of LibriSpeech.
    """
    del out
    find_folder(root, *_STATED)
    listing, parts = Listing({}), {}
    for part in _STATED:
        folder = look_for(root, part)
        if folder is not None:
            parts[part] = read_part(folder / part, listing)
    listing.splits = {part.replace("-", "_"): utterances for part, utterances in parts.items()}
    for hours, training in TRAINING.items():
        if parts.keys() >= set(training):
            listing.splits[f"{hours}/train"] = [u for part in training for u in parts[part]]
            listing.splits |= {f"{hours}/{split}": parts[part] for split, part in HELD_OUT.items() if part in parts}
    absent = [part for part in _STATED if part not in parts]
    if absent:
        listing.notes.append(f"not there: {', '.join(absent)}")
    listing.disjoint_speakers = tuple(listing.splits)
    listing.lexicon = read_lexicon(root)
    return listing
