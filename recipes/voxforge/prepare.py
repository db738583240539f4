"""Read VoxForge: one folder for each submission, with its prompts."""

from __future__ import annotations

import re
from pathlib import Path

from asr_ligru.data.layout import TO_MEASURE, Listing, find_audio, find_folder, read_lines, split_by_speaker
from asr_ligru.typing import Utterance

_PROMPTS = ("etc/PROMPTS", "etc/prompts-original")
_LINE = re.compile(r"(?:\S*/)?(?P<name>[^\s/]+)\s+(?P<text>\S.*)")
_ANONYMOUS = "anonymous"


def prepare(root: Path, out: Path) -> Listing:
    """List the sentences of all submissions below ``root``.

    Args:
        root: the folder of the submissions, such as ``ralfherzog-20070820-de2``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``train``, ``dev`` and ``test`` with different speakers, in each of the last two a twentieth of them, chosen
        by a hash of their names: VoxForge has no official sets.

    Raises:
        DataError: the folder is not VoxForge.
    """
    del out
    corpus = find_folder(root, *(f"*/{prompts}" for prompts in _PROMPTS))
    listing = Listing({}, disjoint_speakers=("train", "dev", "test"))
    utterances: list[Utterance] = []
    for folder in sorted(path for path in corpus.iterdir() if path.is_dir()):
        utterances += _read_submission(folder, listing)
    listing.splits = split_by_speaker(utterances)
    return listing


def _read_submission(folder: Path, listing: Listing) -> list[Utterance]:
    prompts = next((folder / name for name in _PROMPTS if (folder / name).is_file()), None)
    audio = sorted(path for kind in ("wav", "flac") for path in (folder / kind).glob("*.*"))
    if prompts is None:
        listing.leave_out_unnamed(audio, ())
        return []
    name = folder.name.partition("-")[0]
    speaker = folder.name if name == _ANONYMOUS else name  # anybody may be anonymous
    kind = "flac" if (folder / "flac").is_dir() else "wav"
    utterances = []
    for number, line in read_lines(prompts):
        match = _LINE.fullmatch(line)
        if match is None:
            listing.leave_out_line(number, "name WORDS", line, prompts)
            continue
        path = find_audio(folder / kind, match["name"], (f".{kind}",))
        utterances.append(Utterance(f"{folder.name}-{match['name']}", path, TO_MEASURE, match["text"], speaker))
    listing.leave_out_unnamed(audio, [u.audio_path for u in utterances])
    return utterances
