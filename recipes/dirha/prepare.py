"""Read DIRHA-English-WSJ: long recordings of one microphone, and which sentences are where in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from asr_ligru.data import audio
from asr_ligru.data.layout import Listing, find_folder, read_xml
from asr_ligru.data.segments import Recordings
from asr_ligru.errors import DataError
from asr_ligru.typing import Utterance

MICROPHONE = "Livingroom/Circular_Array/LA6"  # the one that results are published for
SPLITS = {"dev": "Sim", "test": "Real"}
_FIELDS = ("name", "spk_id", "begin_sample", "end_sample", "txt")


def prepare(root: Path, out: Path) -> Listing:
    """List the sentences of DIRHA-English-WSJ.

    Args:
        root: the folder that holds ``Real`` and ``Sim``, or one up to two folders above it.
        out: not used; the files stay where they are.

    Returns:
        ``dev`` (simulated) and ``test`` (real), of the microphone ``LA6``. There is nothing to train on: its makers
        train on WSJ with DIRHA's room responses.

    Raises:
        DataError: the folder is not DIRHA-English-WSJ, or a description is not XML.
    """
    del out
    corpus = find_folder(root, *(f"{kind}/*/{MICROPHONE}.xml" for kind in SPLITS.values()))
    listing, recordings = Listing({}), Recordings()
    for split, kind in SPLITS.items():
        listing.splits[split] = []
        descriptions = sorted((corpus / kind).glob(f"*/{MICROPHONE}.xml"))
        for path in descriptions:
            scene = path.relative_to(corpus / kind).parts[0]
            for segment in _read_scene(scene, path, listing):
                recordings.add(listing, split, segment)
        waves = (corpus / kind).glob(f"*/{MICROPHONE}.wav")
        listing.leave_out_unnamed(waves, [path.with_suffix(".wav") for path in descriptions])
    return listing


def _read_scene(scene: str, description: Path, listing: Listing) -> Iterator[Utterance]:
    wav = description.with_suffix(".wav")
    try:
        rate_hz = audio.probe(wav).sample_rate_hz
    except DataError as error:
        listing.leave_out(scene, error.what, wav)
        return
    for number, source in enumerate(read_xml(description).iter("SOURCE")):
        name, speaker, begin, end, text = (_text(source, field) for field in _FIELDS)
        utt_id = f"{scene}-{speaker}-{name}"
        if not (begin.isdecimal() and end.isdecimal() and int(end) > int(begin) and name and text):
            listing.leave_out(utt_id, f"source {number} lacks one of {', '.join(_FIELDS)}", description)
            continue
        begin_s = max(0, int(begin) - 1) / rate_hz  # samples are counted from 1
        duration_s = int(end) / rate_hz - begin_s
        yield Utterance(utt_id, wav, duration_s, text.upper(), speaker, begin_s)


def _text(source: Element, field: str) -> str:
    return " ".join((source.findtext(field) or "").split())
