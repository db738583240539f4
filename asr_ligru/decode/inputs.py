"""What a user names to be decoded: files, folders of them, manifests, standard input."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from asr_ligru.data.manifest import read_manifest
from asr_ligru.errors import DataError
from asr_ligru.safety import printable
from asr_ligru.score.lines import parse_lines

STDIN = "-"
AUDIO_SUFFIXES = frozenset(
    ".wav .flac .mp3 .ogg .oga .opus .sph .aiff .aif .au .snd .w64 .rf64 .caf .m4a .mp4 .aac .webm".split()
)
_NOWHERE = PurePath("none")  # where the results of what has none belong
RAW_SUFFIXES = frozenset(".raw .pcm .s16".split())


@dataclass(frozen=True, slots=True)
class Input:
    """One recording, or a part of one.

    Attributes:
        name: how the user knows it: its path, its id in a manifest, or "-" for standard input.
        path: the file; None for standard input.
        output: where its results belong below an output folder, without suffix; relative, never upwards.
        speaker: who speaks; empty when unknown.
        offset_s: where it begins in the file, seconds.
        duration_s: how long it is, seconds; None for all that follows.
        problem: why there is nothing to decode; empty otherwise.
    """

    name: str
    path: Path | None
    output: PurePath
    speaker: str = ""
    offset_s: float = 0.0
    duration_s: float | None = None
    problem: str = ""


def find_inputs(arguments: Sequence[str], with_raw: bool = False) -> list[Input]:
    """Return what there is to decode, in the order of the arguments, each once.

    Args:
        arguments: audio files, folders that are searched with all below them, manifests (``.jsonl``), "-".
        with_raw: whether folders are searched for headerless files, too.

    Returns:
        A folder's files come in the order of their names. A folder without audio, or one that cannot be read, is an
        input with a problem; whether a file can be read is not looked at.

    Raises:
        DataError: a manifest cannot be read.
    """
    suffixes = AUDIO_SUFFIXES | (RAW_SUFFIXES if with_raw else frozenset())
    found: dict[tuple[str, float, str], Input] = {}
    for argument in arguments:
        for one in _of_argument(argument, suffixes):
            place = "" if one.path is None else os.path.abspath(one.path)
            found.setdefault((place, one.offset_s, one.name if one.duration_s else ""), one)
    return list(found.values())


def _of_argument(argument: str, suffixes: Collection[str]) -> Iterator[Input]:
    path = Path(argument)
    if argument == STDIN:
        yield Input(STDIN, None, PurePath("stdin"))
    elif not argument:  # which a Path takes for the current folder
        yield Input("''", path, _NOWHERE, problem="an empty name (a variable that is not set?); . is this folder")
    elif path.is_dir():
        yield from _of_folder(path, suffixes)
    elif path.suffix == ".jsonl":
        for utterance in read_manifest(path):
            output = PurePath(_file_name(utterance.utt_id))
            yield Input(
                utterance.utt_id,
                utterance.audio_path,
                output,
                utterance.speaker,
                utterance.offset_s,
                utterance.duration_s,
            )
    else:
        yield Input(argument, path, PurePath(path.stem))


def _of_folder(folder: Path, suffixes: Collection[str]) -> Iterator[Input]:
    problems: list[Input] = []

    def unreadable(error: OSError) -> None:
        place = Path(error.filename or folder)
        problems.append(Input(str(place), place, _NOWHERE, problem=f"cannot read folder: {error.strerror}"))

    files = [
        Path(where, name)
        for where, _, names in os.walk(folder, onerror=unreadable)
        for name in names
        if os.path.splitext(name)[1].lower() in suffixes
    ]
    for path in sorted(files):
        yield Input(str(path), path, path.relative_to(folder).with_name(path.stem))
    yield from problems
    if not files and not problems:
        kinds = ", ".join(sorted(suffixes))
        yield Input(str(folder), folder, _NOWHERE, problem=f"no audio file in this folder (looked for {kinds})")


def _file_name(utt_id: str) -> str:
    """Return an id as a file name: what could name a folder or drive a terminal becomes %XX."""
    safe = "".join(
        c if c not in '/\\%:*?"<>|' and printable(c) == c else "".join(f"%{b:02X}" for b in c.encode()) for c in utt_id
    )
    return f"%2E{safe[1:]}" if safe.startswith(".") else safe


def with_speakers(inputs: Sequence[Input], speakers: Mapping[str, str]) -> tuple[list[Input], int]:
    """Return the inputs with their speakers, and how many of these the map names.

    Args:
        inputs: their own speakers stay where the map says nothing.
        speakers: by an input's name, the name of its file, or that without suffix; the first of these counts.
    """
    mapped = []
    hits = 0
    for one in inputs:
        names = [one.name] if one.path is None else [one.name, one.path.name, one.path.stem]
        speaker = next((speakers[name] for name in names if name in speakers), None)
        hits += speaker is not None
        mapped.append(one if speaker is None else replace(one, speaker=speaker))
    return mapped, hits


def read_speaker_map(path: Path) -> dict[str, str]:
    """Read who speaks in which file.

    Args:
        path: UTF-8, ``file speaker`` a line; the last word is the speaker, so names may hold spaces.

    Raises:
        DataError: unreadable, or findings, each with its line.
    """
    speakers: dict[str, str] = {}

    def take(number: int, line: str) -> None:
        fields = line.strip().rsplit(maxsplit=1)
        if len(fields) != 2:
            raise ValueError("expected: file speaker")
        if speakers.setdefault(fields[0], fields[1]) != fields[1]:
            raise ValueError(f"another speaker of {fields[0]!r} than before")

    parse_lines(path, take)
    if not speakers:
        raise DataError("no line in it", where=printable(str(path)), fix="write `file speaker` on each line")
    return speakers
