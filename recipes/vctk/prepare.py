"""Read VCTK, in the form of release 0.92 (two microphones, FLAC) or of those before (WAV)."""

from __future__ import annotations

from pathlib import Path

from asr_ligru.data.download import Archive
from asr_ligru.data.layout import TO_MEASURE, Listing, find_folder, read_lines, split_by_speaker
from asr_ligru.errors import DataError
from asr_ligru.typing import Utterance

# SHA-256 as in torchaudio 2.11, torchaudio/datasets/vctk.py.
ARCHIVES = (
    Archive(
        "https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
        digest="f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
        stated_by="torchaudio.datasets.VCTK_092",
        megabytes=11_748,
    ),
)

# Folder of the audio and what its files end in: of release 0.92 the first microphone.
_FORMS = (("wav48_silence_trimmed", "_mic1.flac"), ("wav48", ".wav"))


def prepare(root: Path, out: Path) -> Listing:
    """List the sentences of VCTK.

    Args:
        root: the folder that holds ``txt``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``train``, ``dev`` and ``test`` with different speakers, in each of the last two a twentieth of them, chosen
        by a hash of their names: VCTK has no official sets. All read partly the same sentences.

    Raises:
        DataError: the folder is not VCTK.
    """
    del out
    corpus = find_folder(root, *(f"{folder}/[ps]*" for folder, _ in _FORMS))
    folder, ending = next(form for form in _FORMS if (corpus / form[0]).is_dir())
    listing = Listing({}, disjoint_speakers=("train", "dev", "test"))
    utterances, named = [], set()
    for transcript in sorted((corpus / "txt").glob("*/*.txt")):
        speaker = transcript.parent.name
        path = corpus / folder / speaker / f"{transcript.stem}{ending}"
        named.add(path)
        try:
            text = " ".join(" ".join(line.split()) for _, line in read_lines(transcript))
        except DataError as error:
            listing.leave_out(transcript.stem, error.what, transcript)
            continue
        utterances.append(Utterance(transcript.stem, path, TO_MEASURE, text, speaker))
    listing.leave_out_unnamed((corpus / folder).glob(f"*/*{ending}"), named)
    listing.splits = split_by_speaker(utterances)
    return listing
