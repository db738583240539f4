"""A training set in shards: tar archives of FLAC in WebDataset's layout, with an index.

A folder holds ``index.json``, and for each shard ``shard-000000.tar``, with members ``000000017.flac`` and
``000000017.json``, and ``shard-000000.jsonl``, a manifest that says where in the archive each recording is. The index
has the SHA-256 of all these files. Utterances are in random order: neighbours have nothing in common.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asr_ligru.config import CorpusConfig
from asr_ligru.data import audio
from asr_ligru.data.bad_rate import check_rate
from asr_ligru.data.manifest import write_manifest
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.augment import generator
from asr_ligru.safety import atomic_write, json_text, read_json, sha256_file
from asr_ligru.safety.files import atomic_file, write_errors
from asr_ligru.typing import BadUtterance, Utterance

INDEX = "index.json"
FORMAT = 1
_MAX_INDEX_BYTES = 64 << 20
_NAME = re.compile(r"shard-\d{6,9}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """One archive.

    Attributes:
        name: without a suffix; the archive is ``.tar``, its manifest ``.jsonl``.
        utterances: how many it holds.
        num_bytes: of the archive.
        sha256: of the archive.
        list_sha256: of its manifest.
    """

    name: str
    utterances: int
    num_bytes: int
    sha256: str
    list_sha256: str

    @property
    def tar(self) -> str:
        """Name of the archive."""
        return f"{self.name}.tar"

    @property
    def manifest(self) -> str:
        """Name of its manifest."""
        return f"{self.name}.jsonl"


@dataclass(frozen=True)
class ShardIndex:
    """What a folder of shards holds; all recordings have one sample rate."""

    sample_rate_hz: int
    shards: tuple[Shard, ...]
    digest: str = ""

    @property
    def utterances(self) -> int:
        """How many utterances there are."""
        return sum(shard.utterances for shard in self.shards)


def read_index(path: Path) -> ShardIndex:
    """Read an index that anybody may have written.

    Raises:
        DataError: absent, or not an index of this format.
    """
    found = read_json(path, _MAX_INDEX_BYTES)
    try:
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r}, expected {FORMAT}")
        shards = tuple(_shard(record) for record in found["shards"])
        rate_hz = found["sample_rate_hz"]
        if type(rate_hz) is not int or len({shard.name for shard in shards}) != len(shards) or not shards:
            raise ValueError("no sample rate, no shards, or one twice")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"not an index of shards: {error}", where=str(path), fix="asr-ligru shards MANIFEST") from error
    return ShardIndex(rate_hz, shards, sha256_file(path))


def _shard(record: dict[str, Any]) -> Shard:
    shard = Shard(**record)
    counts = (shard.utterances, shard.num_bytes)
    if any(type(count) is not int or count < 1 for count in counts) or not _NAME.fullmatch(shard.name):
        raise ValueError(f"shard {shard.name!r}")
    if not _DIGEST.fullmatch(shard.sha256) or not _DIGEST.fullmatch(shard.list_sha256):
        raise ValueError(f"checksums of {shard.name!r}")
    return shard


def write_shards(
    utterances: Sequence[Utterance],
    out: Path,
    corpus: CorpusConfig,
    sample_rate_hz: int,
    shard_bytes: int,
    *,
    seed: int = 1,
    tick: Callable[[], object] = lambda: None,
) -> tuple[ShardIndex, list[BadUtterance]]:
    """Write utterances as shards.

    Args:
        utterances: what to write.
        out: the folder; made if need be.
        corpus: how audio is read, and how many unreadable files are borne.
        sample_rate_hz: of what is written.
        shard_bytes: an archive is closed when it is this large.
        seed: of the random order.
        tick: called after each utterance.

    Returns:
        The index, and a record of each utterance that could not be read.

    Raises:
        ConfigError: there are shards in the folder already.
        DataError: too many utterances cannot be read.
        EnvironmentError_: cannot write.
    """
    if (out / INDEX).exists():
        raise ConfigError("there are shards already", where=str(out), fix="name another folder, or delete this one")
    with write_errors(out, 0):
        out.mkdir(parents=True, exist_ok=True)
    shards: list[Shard] = []
    bad: list[BadUtterance] = []
    order = generator(seed, 0, "shards").permutation(len(utterances)).tolist()
    recordings = _recordings([utterances[i] for i in order], corpus, sample_rate_hz, bad, tick)
    pending = next(recordings, None)
    while pending is not None:
        name = f"shard-{len(shards):06}"
        held: list[Utterance] = []
        path = out / f"{name}.tar"
        with _archive(path, shard_bytes) as (stream, archive):
            while pending is not None and (not held or stream.tell() < shard_bytes):
                held.append(pending[0])
                _add(archive, f"{sum(s.utterances for s in shards) + len(held) - 1:09}", *pending)
                pending = next(recordings, None)
        shards.append(_finish(path, name, held))
    if not shards:
        raise DataError(f"no usable utterance of {len(utterances)}", where=str(out))
    index = {"format": FORMAT, "sample_rate_hz": sample_rate_hz, "shards": [asdict(shard) for shard in shards]}
    atomic_write(out / INDEX, json_text(index, indent=1))
    return read_index(out / INDEX), bad


@contextmanager
def _archive(path: Path, num_bytes: int) -> Iterator[tuple[Any, tarfile.TarFile]]:
    with (
        write_errors(path.parent, num_bytes),
        atomic_file(path) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        yield stream, archive


def _recordings(
    utterances: Sequence[Utterance],
    corpus: CorpusConfig,
    sample_rate_hz: int,
    bad: list[BadUtterance],
    tick: Callable[[], object],
) -> Iterator[tuple[Utterance, bytes]]:
    """Yield each readable utterance and its FLAC file; what is not readable goes to ``bad``."""
    for utterance in utterances:
        try:
            wav = audio.read(
                utterance.audio_path,
                offset_s=utterance.offset_s,
                duration_s=utterance.duration_s,
                sample_rate_hz=sample_rate_hz,
                resample=corpus.resample,
                channel=corpus.channel,
                max_seconds=corpus.max_seconds,
                part=utterance.part,
            )
        except DataError as error:
            bad.append(BadUtterance(utterance.utt_id, "audio", error.what, str(utterance.audio_path)))
            check_rate(bad, len(utterances), corpus)
        else:
            duration_s = len(wav) / sample_rate_hz
            yield replace(utterance, offset_s=0.0, duration_s=duration_s), audio.encoded(wav, sample_rate_hz)
        tick()


def _add(archive: tarfile.TarFile, key: str, utterance: Utterance, flac: bytes) -> None:
    record = {"id": utterance.utt_id, "text": utterance.text, "speaker": utterance.speaker}
    for suffix, data in (("flac", flac), ("json", json_text(record).encode())):
        member = tarfile.TarInfo(f"{key}.{suffix}")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


def _finish(path: Path, name: str, held: Sequence[Utterance]) -> Shard:
    """Write the manifest of a closed archive and return its entry."""
    with tarfile.open(path) as archive:
        parts = [(member.offset_data, member.size) for member in archive if member.name.endswith(".flac")]
    manifest = path.with_suffix(".jsonl")
    write_manifest(manifest, [replace(u, audio_path=path, part=part) for u, part in zip(held, parts, strict=True)])
    return Shard(name, len(held), path.stat().st_size, sha256_file(path), sha256_file(manifest))
