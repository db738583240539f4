"""From a corpus folder to manifests, with every unusable file recorded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr_ligru import resources
from asr_ligru.data import audio
from asr_ligru.data.audio_blocks import read_blocks
from asr_ligru.data.download import Download, Open, download_corpus
from asr_ligru.data.layout import TO_MEASURE, Listing, is_training
from asr_ligru.data.manifest import write_bad_utterances, write_manifest
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.registry import nearest
from asr_ligru.safety import atomic_write, printable
from asr_ligru.safety.files import write_errors
from asr_ligru.typing import BadUtterance, Utterance

# The closed table: preparing runs a recipe's code.
CORPORA = (
    *("demo", "an4", "fsdd", "yesno", "mini_librispeech", "librispeech", "timit", "common_voice", "tedlium"),
    *("voxforge", "speech_commands", "vctk", "ljspeech", "aishell", "ami", "chime4", "dirha", "kaldi"),
)
BY_LHOTSE = "lhotse"  # lhotse:NAME is any corpus that lhotse knows
_ROOT_OPTIONAL = ("demo", "kaldi", BY_LHOTSE)  # made here, or with words of their own

_UNKNOWN_S = 0.01  # of a file that cannot be read, in the splits that keep it


@dataclass(frozen=True)
class SplitCount:
    """How much a split holds."""

    utterances: int
    hours: float
    speakers: int


@dataclass(frozen=True)
class Preparation:
    """What ``prepare_corpus`` did.

    Attributes:
        corpus: its name.
        out: where the manifests are.
        manifests: path by split.
        counts: size by split.
        left_out: what no split holds, and why.
        lexicon_entries: pronunciations written.
        downloads: archives fetched or found, with their checksums.
        notes: how the corpus was read, where that is not plain.
    """

    corpus: str
    out: Path
    manifests: dict[str, Path]
    counts: dict[str, SplitCount]
    left_out: list[BadUtterance]
    lexicon_entries: int
    downloads: list[Download]
    notes: list[str]

    def render(self) -> str:
        """Return the report as text of at most 80 columns, safe to print."""
        lines = [f"{'split':<24} {'utterances':>10} {'hours':>8} {'speakers':>9}"]
        for split, count in self.counts.items():
            lines.append(f"{split:<24} {count.utterances:>10} {count.hours:>8.3f} {count.speakers:>9}")
        if self.lexicon_entries:
            lines.append(f"lexicon.txt: {self.lexicon_entries} pronunciations")
        for download in self.downloads:
            lines += [f"sha256 {download.sha256}", f"  {download.check}", f"  {download.url}"]
        lines += [printable(f"note: {note}") for note in self.notes]
        for bad in self.left_out[:5]:
            lines.append(printable(f"unusable: {bad.utt_id or bad.path}: {bad.reason}"))
        if self.left_out:
            lines.append(f"{len(self.left_out)} unusable, all in {self.out / 'bad_utterances.jsonl'}")
        return "\n".join(lines)


def prepare_corpus(
    name: str,
    root: Path | None,
    out: Path,
    download: bool = False,
    *,
    parts: Sequence[str] = (),
    tick: Callable[[], object] = lambda: None,
    say: Callable[[str], object] = lambda line: None,
    opener: Open | None = None,
) -> Preparation:
    """Write ``<out>/<split>.jsonl``, ``lexicon.txt`` beside them, ``prepare.json`` and ``bad_utterances.jsonl``.

    Every audio file is decoded once. One that cannot be is recorded and left out; the rest is kept.

    Args:
        name: one of ``CORPORA``, or ``lhotse:NAME``.
        root: the corpus folder; None for one that is made, or downloaded into ``<out>/download``.
        out: made if need be.
        download: fetch the corpus into ``root`` first.
        parts: of the corpus, where not all of it is to be fetched.
        tick: called after each utterance, for a progress bar.
        say: told what will be fetched, before anything is.
        opener: what opens a download, for tests.

    Raises:
        ConfigError: an unknown corpus, one that cannot be downloaded, or neither ``root`` nor ``download``.
        DataError: ``root`` is missing, empty, not this corpus, or without one usable utterance.
        EnvironmentError_: the download failed, or ``out`` cannot be written.
    """
    base, _, inner = name.partition(":")
    if name not in CORPORA and base != BY_LHOTSE:
        raise ConfigError(f"unknown corpus {name!r}", fix=nearest(name, (*CORPORA, BY_LHOTSE)))
    recipe = resources.recipe_module(base)
    archives = getattr(recipe, "ARCHIVES", ())
    if download and not archives:
        fix = f"get it as recipes/{base}/README.md says, and name its folder with --root"
        raise ConfigError(f"{name} is not downloaded", fix=fix)
    if parts and not download:
        raise ConfigError("--part without --download", fix="what is in the folder is prepared, whichever parts it has")
    if root is None and not download and base not in _ROOT_OPTIONAL:
        fix = f"asr-ligru prepare {name} --root DIR" + (", or --download" if archives else "")
        raise ConfigError(f"where is {name}?", fix=fix)
    with write_errors(out, 0):
        out.mkdir(parents=True, exist_ok=True)
    source = root or out / "download" if download else root
    downloads = download_corpus(archives, source, opener, parts=parts, say=say) if download and source else []
    listing: Listing = recipe.prepare(source, out, *([inner] if base == BY_LHOTSE else []))
    return _write(name, out, _measured(listing, tick), downloads)


def _measured(listing: Listing, tick: Callable[[], object]) -> Listing:
    """Return the listing with durations; utterances whose audio is unusable are recorded in ``left_out``.

    Training goes on without them. Other splits keep them, so that each counts as words not recognised.
    """
    durations: dict[Path, float] = {}  # a corpus may have several splits over the same files
    failures: dict[Path, BadUtterance] = {}
    for utterance in itertools.chain.from_iterable(listing.splits.values()):
        path = utterance.audio_path
        if utterance.duration_s == TO_MEASURE and path not in durations and path not in failures:
            try:
                durations[path] = _measure(path)
            except DataError as error:
                failures[path] = BadUtterance(utterance.utt_id, "prepare", error.what, str(path))
        tick()
    splits = {
        split: [
            _with_duration(u, durations) for u in utterances if u.audio_path not in failures or not is_training(split)
        ]
        for split, utterances in listing.splits.items()
    }
    left_out = [*listing.left_out, *failures.values()]
    known_bad = {bad.utt_id for bad in listing.left_out}
    every = itertools.chain.from_iterable(listing.splits.values())
    if all(u.audio_path in failures or u.utt_id in known_bad for u in every):
        examples = "; ".join(printable(f"{bad.path}: {bad.reason}") for bad in left_out[:3])
        raise DataError(f"no usable utterance in the corpus, {len(left_out)} left out: {examples}")
    return replace(listing, splits=splits, left_out=left_out)


def _measure(path: Path) -> float:
    rate_hz = audio.probe(path).sample_rate_hz
    return sum(block.shape[-1] for block in read_blocks(path, sample_rate_hz=rate_hz)) / rate_hz


def _with_duration(utterance: Utterance, durations: dict[Path, float]) -> Utterance:
    whole = utterance.duration_s == TO_MEASURE
    return replace(utterance, duration_s=durations.get(utterance.audio_path, _UNKNOWN_S)) if whole else utterance


def _write(name: str, out: Path, listing: Listing, downloads: list[Download]) -> Preparation:
    manifests = {split: out / f"{split}.jsonl" for split in listing.splits}
    for split, path in manifests.items():
        with write_errors(path.parent, 0):
            path.parent.mkdir(exist_ok=True)
        write_manifest(path, listing.splits[split])
    for folder in {path.parent for path in manifests.values()}:
        lexicon = listing.lexicons.get(folder.relative_to(out).as_posix(), listing.lexicon)
        if lexicon:
            atomic_write(folder / "lexicon.txt", "".join(f"{line}\n" for line in lexicon))
    write_bad_utterances(out / "bad_utterances.jsonl", listing.left_out)
    counts = {split: _count(utterances) for split, utterances in listing.splits.items()}
    report = Preparation(name, out, manifests, counts, listing.left_out, len(listing.lexicon), downloads, listing.notes)
    summary = _summary(report) | {"disjoint_speakers": list(listing.disjoint_speakers)}
    atomic_write(out / "prepare.json", json.dumps(summary, indent=1) + "\n")
    return report


def _count(utterances: Iterable[Utterance]) -> SplitCount:
    found = list(utterances)
    hours = sum(utterance.duration_s for utterance in found) / 3600
    return SplitCount(len(found), hours, len({utterance.speaker for utterance in found}))


def _summary(report: Preparation) -> dict[str, object]:
    return {
        "corpus": report.corpus,
        "splits": {
            split: {"utterances": count.utterances, "hours": round(count.hours, 6), "speakers": count.speakers}
            for split, count in report.counts.items()
        },
        "lexicon_entries": report.lexicon_entries,
        "left_out": len(report.left_out),
        "downloads": [vars(download) for download in report.downloads],
    }
