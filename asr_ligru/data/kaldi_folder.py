"""A split in the layout of Kaldi's ``data/<split>``: wav.scp, text, utt2spk and, perhaps, segments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from asr_ligru.data.kaldi_names import read_keyed, read_script
from asr_ligru.data.layout import TO_MEASURE
from asr_ligru.data.segments import MAX_OVERSHOOT_S, Recordings
from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.typing import BadUtterance, Utterance

FILES = ("wav.scp", "text", "utt2spk", "segments")
_MAX_NAMED = 10  # ignored files in a note


@dataclass
class KaldiSplit:
    """What a folder holds.

    Attributes:
        utterances: in the order of ``text``; a duration of ``TO_MEASURE`` stands for the whole recording.
        left_out: what cannot be used, and why.
        notes: what was ignored or changed.
    """

    utterances: list[Utterance] = field(default_factory=list)
    left_out: list[BadUtterance] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Stretch(NamedTuple):
    """Of a recording; an end of -1 is the recording's, and no start stands for the whole, measured later."""

    recording: str
    start_s: float | None = None
    end_s: float = -1.0

    def place(self, recordings: Recordings, path: Path) -> tuple[float, float, str]:
        """Return where it begins, how long it is, and what is wrong, as ``Recordings.place`` does."""
        if self.start_s is None:
            return 0.0, TO_MEASURE, ""
        return recordings.place(path, self.start_s, self.end_s)


def read_folder(folder: Path, *, keep_unreadable: bool = False) -> KaldiSplit:
    """Read a folder as Kaldi's tools would, but never run a command.

    Args:
        folder: holds ``wav.scp``, ``text``, ``utt2spk`` and perhaps ``segments``; others are ignored, with a note.
        keep_unreadable: also return utterances whose segment lies outside of its recording or whose recording cannot
            be opened; they are in ``left_out`` as well.

    Raises:
        DataError: a file is missing or malformed, has a key twice or a command in it, or names audio in an archive.
    """
    split = KaldiSplit()
    cut = (folder / "segments").exists()
    wavs = _wavs(folder / "wav.scp", split)
    texts = _read(folder / "text", split)
    speakers = {key: _one_word(where, speaker) for key, (where, speaker) in _read(folder / "utt2spk", split).items()}
    stretches = _segments(folder / "segments", split) if cut else {key: _Stretch(key) for key in wavs}
    tables: dict[str, Mapping[str, object]] = {
        "text": texts,
        "utt2spk": speakers,
        "segments" if cut else "wav.scp": stretches,
    }
    recordings = Recordings()
    for utt_id in dict.fromkeys(key for table in tables.values() for key in table):
        absent = [name for name, table in tables.items() if utt_id not in table]
        stretch = stretches.get(utt_id)
        path = wavs.get(stretch.recording) if stretch else None
        if absent or stretch is None or path is None:
            reason = "not in " + (" and ".join(absent) or f"wav.scp: its recording {stretch and stretch.recording!r}")
            split.left_out.append(BadUtterance(utt_id, "prepare", reason, str(folder)))
            continue
        start_s, duration_s, problem = stretch.place(recordings, path)
        if problem:
            split.left_out.append(BadUtterance(utt_id, "prepare", problem, str(path)))
        if not problem or (keep_unreadable and duration_s > 0):
            words = " ".join(texts[utt_id][1].split())
            split.utterances.append(Utterance(utt_id, path, duration_s, words, speakers[utt_id], start_s))
    if recordings.overshoots:
        what = f"segments end up to {MAX_OVERSHOOT_S} s after their recording and are cut there, as Kaldi does"
        split.notes.append(f"{recordings.overshoots} {what}")
    ignored = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    if ignored:
        more = f" and {len(ignored) - _MAX_NAMED} more" if len(ignored) > _MAX_NAMED else ""
        split.notes.append(f"ignored: {', '.join(ignored[:_MAX_NAMED])}{more}")
    return split


def _read(path: Path, split: KaldiSplit) -> dict[str, tuple[str, str]]:
    """Return (where, rest of the line) by key."""
    found: dict[str, tuple[str, str]] = {}
    for where, key, rest in read_keyed(path):
        if key in found:
            what = f"the key {printable(key)!r} comes twice, first in {printable(found[key][0])}"
            raise DataError(what, where=printable(where), fix="remove one of the two lines")
        found[key] = (where, rest)
    if not found:
        raise DataError("no line in it", where=printable(str(path)), fix="give the folder of a prepared split")
    if list(found) != sorted(found, key=str.encode):
        split.notes.append(f"{path.name} is not sorted: no matter here, but Kaldi's tools want utils/fix_data_dir.sh")
    return found


def _wavs(path: Path, split: KaldiSplit) -> dict[str, Path]:
    _read(path, split)
    wavs = {}
    for where, key, location in read_script(path):
        if location.offset or location.rows or location.columns:
            fix = "extract it: wav-copy scp:wav.scp writes one file for each recording"
            raise DataError("audio inside of an archive is not read", where=printable(where), fix=fix)
        wavs[key] = location.path
    return wavs


def _segments(path: Path, split: KaldiSplit) -> dict[str, _Stretch]:
    return {key: _segment(where, rest) for key, (where, rest) in _read(path, split).items()}


def _segment(where: str, rest: str) -> _Stretch:
    try:
        recording, start, end = rest.split()
        start_s, end_s = float(start), float(end)
        if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s >= 0):
            raise ValueError
    except ValueError as error:
        what = f"expected `utterance recording start end` with times in seconds, got {printable(rest[:60])!r}"
        raise DataError(what, where=printable(where), fix="correct the line") from error
    return _Stretch(recording, start_s, end_s)


def _one_word(where: str, speaker: str) -> str:
    if len(speaker.split()) != 1:
        what = f"expected `utterance speaker`, got {printable(speaker[:60])!r} after the utterance"
        raise DataError(what, where=printable(where), fix="correct the line")
    return speaker
