"""Read AISHELL-1: Mandarin sentences, an archive for each speaker."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder, look_for, read_lines
from asr_ligru.safety import safe_extract
from asr_ligru.typing import Utterance

# MD5 as in PaddleSpeech, dataset/aishell/aishell.py (MD5_DATA, MD5_RESOURCE).
_STATED_BY = "PaddleSpeech, dataset/aishell/aishell.py"
ARCHIVES = (
    Archive(
        "https://www.openslr.org/resources/33/data_aishell.tgz",
        algorithm="md5",
        digest="2f494334227864a8a8fec932999db9d8",
        stated_by=_STATED_BY,
        megabytes=15_582,
    ),
    Archive(
        "https://www.openslr.org/resources/33/resource_aishell.tgz",
        algorithm="md5",
        digest="957d480a0fcac85fc18e550756f624e5",
        stated_by=_STATED_BY,
        megabytes=2,
    ),
)

SPLITS = ("train", "dev", "test")
_TRANSCRIPT = "transcript/aishell_transcript_v0.8.txt"
_LEXICON = "resource_aishell/lexicon.txt"
_NO_WORDS = ("SIL", "<SPOKEN_NOISE>")


def prepare(root: Path, out: Path) -> Listing:
    """List the sentences of AISHELL-1.

    Args:
        root: the folder ``data_aishell``, or one up to two folders above it.
        out: gets ``speakers``, the unpacked archives of the speakers, where they were not unpacked before.

    Returns:
        ``train``, ``dev`` and ``test`` as published, written in words; the lexicon where ``resource_aishell`` is there.

    Raises:
        DataError: the folder is not AISHELL-1, or an archive in it is damaged.
        EnvironmentError_: the archives cannot be unpacked.
    """
    corpus = find_folder(root, _TRANSCRIPT)
    listing = Listing({split: [] for split in SPLITS}, disjoint_speakers=SPLITS)
    texts = {}
    for number, line in read_lines(corpus / _TRANSCRIPT):
        utt_id, _, text = line.partition(" ")
        if not text:
            listing.leave_out_line(number, "id WORDS", line, corpus / _TRANSCRIPT)
            continue
        texts[utt_id] = " ".join(text.split())
    audio = _audio(corpus, out)
    for utt_id, (split, path) in audio.items():
        if utt_id in texts:
            listing.splits[split].append(Utterance(utt_id, path, TO_MEASURE, texts[utt_id], path.parent.name))
        else:
            listing.leave_out(utt_id, "no transcript names it", path)
    for utt_id in texts.keys() - audio.keys():
        listing.leave_out(utt_id, "no audio has this name", corpus / _TRANSCRIPT)
    lexicon = look_for(root, _LEXICON)
    if lexicon:
        lines = (" ".join(line.split()) for _, line in read_lines(lexicon / _LEXICON))
        listing.lexicon = list(dict.fromkeys(line for line in lines if not line.startswith(_NO_WORDS)))
    return listing


def _audio(corpus: Path, out: Path) -> dict[str, tuple[str, Path]]:
    """Return split and path of each recording by its name; unpack those of speakers that are still packed."""
    for archive in sorted((corpus / "wav").glob("*.tar.gz")):
        speaker = archive.name.removesuffix(".tar.gz")
        target = out / "speakers" / speaker
        if not target.is_dir() and not any((corpus / "wav").glob(f"*/{speaker}")):
            target.parent.mkdir(exist_ok=True)
            safe_extract(archive, target)
    found: dict[str, tuple[str, Path]] = {}
    for split in SPLITS:
        for folder in (corpus / "wav", *sorted((out / "speakers").glob("*"))):
            found |= {path.stem: (split, path) for path in sorted(folder.glob(f"{split}/*/*.wav"))}
    return found
