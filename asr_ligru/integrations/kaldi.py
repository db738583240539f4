"""From manifests to what Kaldi reads: a folder like ``data/train``, and features in archives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from asr_ligru.config import CorpusConfig, FeaturesConfig
from asr_ligru.data import audio
from asr_ligru.data.kaldi_io import write_table
from asr_ligru.data.kaldi_names import check_key, check_name
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import DataError
from asr_ligru.features.cmvn import CmvnStats
from asr_ligru.safety import atomic_write, printable
from asr_ligru.safety.files import write_errors
from asr_ligru.typing import BadUtterance, Utterance


@dataclass
class Export:
    """What was written.

    Attributes:
        folder: where.
        utterances: those in it, sorted as Kaldi sorts, with their new ids.
        left_out: those whose audio cannot be used.
        notes: what was changed, or is left to do.
        in_parts: whether an utterance is part of a file.
    """

    folder: Path
    utterances: list[Utterance] = field(default_factory=list)
    left_out: list[BadUtterance] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    in_parts: bool = False

    def render(self) -> str:
        """Return the report as text, safe to print."""
        lines = [f"{self.folder}: {len(self.utterances)} utterances", *(f"note: {note}" for note in self.notes)]
        lines += [f"left out: {bad.utt_id}: {bad.reason}" for bad in self.left_out[:5]]
        if self.left_out:
            lines.append(f"{len(self.left_out)} left out")
        return "\n".join(printable(line) for line in lines)


def export_folder(
    utterances: Sequence[Utterance], folder: Path, *, wav: bool = False, tick: Callable[[], object] = lambda: None
) -> Export:
    """Write ``wav.scp``, ``text``, ``utt2spk``, ``spk2utt`` and, where utterances are parts of files, ``segments``.

    Args:
        utterances: of one manifest.
        folder: must not exist or be empty; its parent is made if need be.
        wav: write each utterance as a 16-bit WAV file into ``folder/wav``: Kaldi itself reads no other format.
        tick: called after each utterance, for a progress bar.

    Raises:
        DataError: the folder is not empty, an id, speaker or path cannot stand in Kaldi's files, or no audio is usable.
        EnvironmentError_: a file cannot be written.
    """
    with write_errors(folder, 0):
        (folder / "wav" if wav else folder).mkdir(parents=True, exist_ok=True)
        if any(path.name != "wav" or any(path.iterdir()) for path in folder.iterdir()):
            raise DataError("the folder is not empty", where=str(folder), fix="give another one, or remove it")
    export = Export(folder)
    for number, utterance in enumerate(_sorted(_checked(utterances), export.notes)):
        try:
            usable, is_part = _copied(utterance, folder / f"wav/{number:06}.wav") if wav else _ended(utterance)
        except DataError as error:
            export.left_out.append(BadUtterance(utterance.utt_id, "audio", error.what, str(utterance.audio_path)))
        else:
            check_name(str(usable.audio_path))
            export.utterances.append(usable)
            export.in_parts |= is_part
        tick()
    _write(export)
    others = len({u.audio_path for u in export.utterances if u.audio_path.suffix.lower() != ".wav"})
    if others:
        export.notes.append(f"{others} recordings are not WAV, which is all that Kaldi itself reads: --wav copies them")
    return export


def export_feats(
    export: Export,
    features: FeaturesConfig,
    corpus: CorpusConfig,
    *,
    compress: bool = False,
    tick: Callable[[], object] = lambda: None,
) -> None:
    """Add ``feats.ark`` and ``cmvn.ark`` with their ``scp``: raw features, and normalisation statistics by speaker.

    Args:
        export: what ``export_folder`` returned; utterances too short for a frame move to its ``left_out``.
        features: which features; normalisation, deltas and splicing are left to Kaldi.
        corpus: how its audio is read.
        compress: as Kaldi compresses features, a quarter of the size.
        tick: called after each utterance, for a progress bar.

    Raises:
        DataError: no utterance is usable.
        EnvironmentError_: a file cannot be written, or kaldiio is not installed.
    """
    source = FeatureSource(features, corpus)
    stats: dict[str, CmvnStats] = {}
    failed: dict[str, BadUtterance] = {}

    def rows() -> Iterator[tuple[str, Tensor]]:
        for utterance in export.utterances:
            try:
                feats = source.raw(utterance)
            except DataError as error:
                path = str(utterance.audio_path)
                failed[utterance.utt_id] = BadUtterance(utterance.utt_id, "audio", error.what, path)
            else:
                found = CmvnStats.of(feats)
                speaker = utterance.speaker
                stats[speaker] = stats[speaker] + found if speaker in stats else found
                yield utterance.utt_id, feats
            tick()

    folder = export.folder
    write_table(folder / "feats.ark", rows(), scp=folder / "feats.scp", compress=compress)
    tables = ((speaker, found.table) for speaker, found in sorted(stats.items(), key=_by_key))
    write_table(folder / "cmvn.ark", tables, scp=folder / "cmvn.scp")
    if failed:
        export.left_out += failed.values()
        export.utterances = [u for u in export.utterances if u.utt_id not in failed]
        _write(export)


def _checked(utterances: Sequence[Utterance]) -> Iterator[Utterance]:
    """Yield the utterances with a speaker each: where it is unknown Kaldi takes the utterance for it."""
    for utterance in utterances:
        for key in (utterance.utt_id, utterance.speaker or utterance.utt_id):
            check_key(key, f"utterance {utterance.utt_id!r}")
        yield replace(utterance, speaker=utterance.speaker or utterance.utt_id)


def _sorted(utterances: Iterator[Utterance], notes: list[str]) -> list[Utterance]:
    """Sort as Kaldi wants it, by utterance and by speaker at once, with the speaker before each id if that needs it."""
    found = sorted(utterances, key=_by_id)
    if _sorted_by_speaker(found):
        return found
    notes.append("ids have their speaker in front of them: Kaldi wants utterances sorted by speaker too")
    found = sorted((replace(u, utt_id=f"{u.speaker}-{u.utt_id}") for u in found), key=_by_id)
    if not _sorted_by_speaker(found):
        notes.append("one speaker's name begins with another's: utils/validate_data_dir.sh will complain of the order")
    return found


def _by_id(utterance: Utterance) -> bytes:
    return utterance.utt_id.encode()


def _by_key(item: tuple[str, object]) -> bytes:
    return item[0].encode()


def _sorted_by_speaker(utterances: Sequence[Utterance]) -> bool:
    speakers = [u.speaker.encode() for u in utterances]
    return speakers == sorted(speakers)


def _copied(utterance: Utterance, path: Path) -> tuple[Utterance, bool]:
    """Write what an utterance says to a file of its own."""
    rate_hz = audio.probe(utterance.audio_path).sample_rate_hz
    wav = audio.read(utterance.audio_path, offset_s=utterance.offset_s, duration_s=utterance.duration_s)
    audio.write(path, wav, rate_hz)
    return replace(utterance, audio_path=path.resolve(), offset_s=0.0, duration_s=len(wav) / rate_hz), False


def _ended(utterance: Utterance) -> tuple[Utterance, bool]:
    """Return the utterance with an absolute path and ending no later than its file, and whether it is a part of it."""
    length_s = audio.probe(utterance.audio_path).duration_s
    left_s = length_s - utterance.offset_s
    if utterance.duration_s > left_s + audio.END_TOLERANCE_S:
        end_s = utterance.offset_s + utterance.duration_s
        raise DataError(f"ends at {end_s:.3f} s, but the file holds {length_s:.3f} s")
    path, duration_s = utterance.audio_path.resolve(), min(utterance.duration_s, left_s)
    is_part = utterance.offset_s > 0 or duration_s < length_s - audio.END_TOLERANCE_S
    return replace(utterance, audio_path=path, duration_s=duration_s), is_part


def _write(export: Export) -> None:
    """Write the text files of Kaldi's folder."""
    utterances = export.utterances
    if not utterances:
        first = "; ".join(f"{bad.utt_id}: {bad.reason}" for bad in export.left_out[:3])
        what = printable(f"no usable utterance, {len(export.left_out)} left out: {first}")
        raise DataError(what, where=str(export.folder), fix="prepare the corpus again")
    paths = sorted({u.audio_path for u in utterances})
    speakers: dict[str, list[str]] = {}
    for utterance in utterances:
        speakers.setdefault(utterance.speaker, []).append(utterance.utt_id)
    files = {
        "text": [f"{u.utt_id} {' '.join(u.text.split())}".rstrip() for u in utterances],
        "utt2spk": [f"{u.utt_id} {u.speaker}" for u in utterances],
        "spk2utt": [f"{speaker} {' '.join(ids)}" for speaker, ids in sorted(speakers.items(), key=_by_key)],
    }
    if export.in_parts or len(paths) < len(utterances):
        names = {path: f"recording-{number:06}" for number, path in enumerate(paths)}
        files["wav.scp"] = [f"{name} {path}" for path, name in names.items()]
        times = ((u, u.offset_s, u.offset_s + u.duration_s) for u in utterances)
        files["segments"] = [f"{u.utt_id} {names[u.audio_path]} {start:.6f} {end:.6f}" for u, start, end in times]
    else:
        files["wav.scp"] = [f"{u.utt_id} {u.audio_path}" for u in utterances]
    for name, lines in files.items():
        atomic_write(export.folder / name, "".join(f"{line}\n" for line in lines))
