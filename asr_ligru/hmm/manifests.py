"""Align the utterances of a manifest with a trained system, or adapt their features: some hours of speech at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from asr_ligru.config import CorpusConfig
from asr_ligru.data.kaldi_io import write_table
from asr_ligru.data.manifest import read_manifest, write_bad_utterances
from asr_ligru.data.parts import whole_speakers
from asr_ligru.data.source import FeatureSource
from asr_ligru.features import fmllr
from asr_ligru.features.fmllr import Estimate
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.material import Material, load, refuse_none, unaligned
from asr_ligru.hmm.run import BAD
from asr_ligru.hmm.system import System
from asr_ligru.hmm.times import Timed, ctm, file_names, text_grid, timed
from asr_ligru.hmm.vocabulary import Missing
from asr_ligru.safety import atomic_write
from asr_ligru.safety.files import write_errors
from asr_ligru.typing import BadUtterance, Utterance

_HOURS_AT_ONCE = 2.0  # of speech, whole speakers: some 400 MB of features


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was done with a manifest.

    Attributes:
        num_utterances: how many were adapted, or aligned.
        estimate: of the speakers' first pass.
        missing: words without pronunciation; none where the words did not matter.
        bad: utterances left out, and why.
    """

    num_utterances: int
    estimate: Estimate
    missing: list[Missing]
    bad: list[BadUtterance]


def align_known(
    system: System, utterances: Sequence[Utterance], corpus: CorpusConfig, cache_dir: Path | None
) -> dict[str, Alignment]:
    """Align utterances with their texts, adapted to their speakers.

    Args:
        system: the GMM-HMM.
        utterances: to align.
        corpus: how audio is read.
        cache_dir: of raw features; None for none.

    Returns:
        Alignments by utterance id; an utterance that cannot be aligned is not in it.
    """
    aligned: dict[str, Alignment] = {}
    for material in _parts(system, utterances, FeatureSource(system.features, corpus, cache_dir), []):
        pairs = zip(material.utterances, _aligned(system, material)[1], strict=True)
        aligned |= {u.utt_id: alignment for u, alignment in pairs if alignment is not None}
    return aligned


def align_manifest(
    model: Path, manifest: Path, out: Path, corpus: CorpusConfig, tick: Callable[[], object] = lambda: None
) -> Outcome:
    """Align the utterances of a manifest with their texts, adapted to their speakers.

    Writes ``words.ctm``, ``phones.ctm``, a TextGrid for each utterance and ``bad_utterances.jsonl`` into ``out``.

    Raises:
        DataError: no utterance can be used, or model or manifest are malformed.
    """
    system, utterances = System.read(model), read_manifest(manifest)
    bad: list[BadUtterance] = []
    estimates: list[Estimate] = []
    found: dict[str, Timed] = {}
    for material in _parts(system, utterances, FeatureSource(system.features, corpus), bad, tick=tick):
        estimate, alignments = _aligned(system, material)
        estimates.append(estimate)
        bad += unaligned(material, alignments)
        for u, alignment in zip(material.utterances, alignments, strict=True):
            if alignment is not None:
                words = u.text.split()
                found[u.utt_id] = timed(u.utt_id, words, alignment, material.topology, system.features, u.duration_s)
    refuse_none(estimates, utterances, bad)
    _write_times(out, [found[u.utt_id] for u in utterances if u.utt_id in found])
    write_bad_utterances(out / BAD, bad)
    return Outcome(len(found), fmllr.join(estimates), system.vocabulary.missing(utterances), bad)


def _write_times(out: Path, aligned: Sequence[Timed]) -> None:
    grids = out / "textgrid"
    with write_errors(out, 0):
        grids.mkdir(parents=True, exist_ok=True)
    for tier in ("words", "phones"):
        atomic_write(out / f"{tier}.ctm", ctm(aligned, tier))
    names = file_names([u.utt_id for u in aligned], ".TextGrid")
    for utterance in aligned:
        atomic_write(grids / names[utterance.utt_id], text_grid(utterance))


def apply_manifest(
    model: Path,
    manifest: Path,
    out: Path,
    corpus: CorpusConfig,
    *,
    with_text: bool = False,
    tick: Callable[[], object] = lambda: None,
) -> Outcome:
    """Write the adapted features of a manifest's utterances as ``feats.ark`` and ``.scp``, the transforms as ``trans``.

    Args:
        model: from ``train_system``.
        manifest: of the utterances.
        out: folder to write into; also gets ``utt2spk`` and ``bad_utterances.jsonl``.
        corpus: how audio is read.
        with_text: adapt by the manifest's texts, as for training data; by what is recognised otherwise.
        tick: called after each utterance read.

    Raises:
        DataError: no utterance can be used, model or manifest are malformed, or an id cannot be a key of Kaldi's.
        EnvironmentError_: a file cannot be written, or kaldiio is not installed.
    """
    system, utterances = System.read(model), read_manifest(manifest)
    bad: list[BadUtterance] = []
    estimates: list[Estimate] = []
    transforms: dict[str, Tensor] = {}
    speaker_of: dict[str, str] = {}

    def adapted() -> Iterator[tuple[str, Tensor]]:
        source = FeatureSource(system.features, corpus)
        for material in _parts(system, utterances, source, bad, spoken=with_text, tick=tick):
            feats, speakers = system.project(material.base), material.speakers
            found = system.adapt(feats, speakers, system.known(material) if with_text else system.recognised)
            estimates.append(found.first)
            transforms.update(zip(speakers.names, found.transforms.unbind(), strict=True))
            ids = [u.utt_id for u in material.utterances]
            speaker_of.update(zip(ids, (speakers.names[i] for i in speakers.of_utterance), strict=True))
            yield from zip(ids, speakers.transform(found.transforms, feats), strict=True)
        refuse_none(estimates, utterances, bad)

    with write_errors(out, 0):
        out.mkdir(parents=True, exist_ok=True)
    write_table(out / "feats.ark", adapted(), scp=out / "feats.scp")
    write_table(out / "trans.ark", sorted(transforms.items()), scp=out / "trans.scp")
    atomic_write(out / "utt2spk", "".join(f"{utt_id} {name}\n" for utt_id, name in sorted(speaker_of.items())))
    write_bad_utterances(out / BAD, bad)
    missing = system.vocabulary.missing(utterances) if with_text else []
    return Outcome(len(speaker_of), fmllr.join(estimates), missing, bad)


def _parts(
    system: System,
    utterances: Sequence[Utterance],
    source: FeatureSource,
    bad: list[BadUtterance],
    *,
    spoken: bool = True,
    tick: Callable[[], object] = lambda: None,
) -> Iterator[Material]:
    """Yield what can be used of some hours at a time; the arguments are those of ``load``."""
    for part in whole_speakers(utterances, _HOURS_AT_ONCE):
        material = load(part, source, system.vocabulary, bad, spoken=spoken, tick=tick)
        if material.utterances:
            yield material


def _aligned(system: System, material: Material) -> tuple[Estimate, list[Alignment | None]]:
    """Return the speakers' first estimate, and alignments of what both passes have adapted."""
    feats, label = system.project(material.base), system.known(material)
    found = system.adapt(feats, material.speakers, label)
    return found.first, label(system.trained.model, material.speakers.transform(found.transforms, feats))
