"""What ``asr-ligru fmllr`` does: train a system on a corpus, adapt features and align with it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr_ligru import ranks
from asr_ligru.config import Config, CorpusConfig, FeaturesConfig, HmmConfig, as_dict
from asr_ligru.data.kaldi_io import write_table
from asr_ligru.data.manifest import read_manifest, write_bad_utterances
from asr_ligru.data.parts import whole_speakers
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import DataError
from asr_ligru.features.fmllr import Estimate
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.chain import train_chain
from asr_ligru.hmm.decode_words import Unigram
from asr_ligru.hmm.frontend import FmllrFrontend
from asr_ligru.hmm.known_times import PhoneTimes
from asr_ligru.hmm.material import Material, drawn, load, unaligned
from asr_ligru.hmm.stages import Trained
from asr_ligru.hmm.system import System
from asr_ligru.hmm.times import Timed, ctm, file_names, text_grid, timed
from asr_ligru.hmm.train import Watch
from asr_ligru.hmm.vocabulary import Missing, Vocabulary, character_lexicon, render_missing
from asr_ligru.safety import atomic_write
from asr_ligru.safety.files import write_errors
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.typing import BadUtterance, Utterance

log = logging.getLogger(__name__)

BAD = "bad_utterances.jsonl"
_HOURS_AT_ONCE = 2.0  # of speech aligned with a finished model, some 400 MB of features
_FIXES = {
    "audio": "correct the recordings; another sample rate: --sample-rate-hz, in recipes features.sample_rate_hz",
    "text": "correct texts or lexicon",
}
FEATURES = FeaturesConfig(name="mfcc", num_bins=23, num_ceps=13, cmvn="speaker", cmvn_variance=False)


def _nothing() -> None:
    return None


@dataclass(frozen=True, eq=False)
class Done:
    """What was worked on.

    Attributes:
        system: the model.
        material: the utterances that were used.
        missing: words without pronunciation.
        bad: utterances left out, and why.
        estimate: of the speakers' first pass; None where nothing was adapted.
        aligned: times of each aligned utterance; empty where none were asked for.
    """

    system: System
    material: Material
    missing: list[Missing]
    bad: list[BadUtterance]
    estimate: Estimate | None = None
    aligned: tuple[Timed, ...] = ()


def train_system(
    folder: Path,
    utterances: Sequence[Utterance],
    lexicon: Lexicon | None,
    corpus: CorpusConfig,
    *,
    features: FeaturesConfig = FEATURES,
    config: HmmConfig | None = None,
    seed: int = 0,
    times: PhoneTimes | None = None,
    watch: Watch,
    finished: Callable[[str, Trained], object] = lambda name, trained: None,
    tick: Callable[[], object] = _nothing,
) -> Done:
    """Train on a corpus, or go on where an earlier call was stopped; the result is in ``folder/model``.

    Two processes that train in one folder do it one after the other: the second finds what the first has made.

    Args:
        folder: of the stages and the model.
        utterances: to train on; ``config.max_hours`` of them, and all their texts for the words.
        lexicon: pronunciations; None takes characters for phones.
        corpus: how audio is read.
        features: the cepstra.
        config: sizes of the models; as for AN4 when omitted.
        seed: of all that is random.
        times: when the phones of utterances are spoken, where that is known: alignments keep to them.
        watch: called after each iteration.
        finished: called after each stage with its name and model.
        tick: called after each utterance read.

    Raises:
        DataError: nothing to train on is left, or times are known of other utterances only.
    """
    config = config or HmmConfig()
    lexicon = lexicon or character_lexicon(u.text for u in utterances)
    vocabulary = Vocabulary.of(lexicon, config)
    bad: list[BadUtterance] = []
    source = FeatureSource(features, corpus, Path(corpus.dir) / "features" if features.cache else None)
    part = drawn(utterances, config.max_hours)
    material = load(part, source, vocabulary, bad, times=times, tick=tick)
    _refuse_none(material, utterances, bad)
    if times and all(near is None for near in material.near):
        raise DataError("the times of phones are those of other utterances", fix="name the file of this corpus")
    with ranks.held(folder, lambda holder: log.info("waiting for %s, which trains the same in %s", holder, folder)):
        trained = train_chain(folder, material, features, config, seed, watch, finished)
        bad += unaligned(material, trained.alignments)
        unusable = {u.utt_id for u in part} - {u.utt_id for u in material.utterances}
        texts = (u.text for u in utterances if u.utt_id not in unusable)
        unigram = Unigram.of(texts, dict(vocabulary.entries))
        system = System(features, config, vocabulary, unigram, trained)
        if ranks.is_first():
            system.write(folder / "model")
            write_bad_utterances(folder / BAD, bad)
        ranks.wait_for_all()
    return Done(system, material, vocabulary.missing(utterances), bad)


def train_hmm(config: Config, utterances: Sequence[Utterance], lexicon: Lexicon | None, watch: Watch) -> Done:
    """Return the GMM-HMM of a run; it is trained when there is none of these settings yet.

    Args:
        config: of the run.
        utterances: of its training set.
        lexicon: pronunciations; None takes characters for phones.
        watch: called after each iteration.

    Raises:
        ConfigError, DataError: as ``FmllrFrontend`` and ``train_system``.
    """
    features = _cepstra(config.features)
    settings = [as_dict(features), as_dict(config.hmm), [[u.utt_id, u.text] for u in utterances]]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    done = train_system(
        Path(config.corpus.dir) / "fmllr" / key,
        utterances,
        lexicon,
        config.corpus,
        features=features,
        config=config.hmm,
        watch=watch,
    )
    if done.missing:
        log.warning("%s", render_missing(done.missing))
    if done.bad:
        log.warning("the GMM-HMM was trained without %d of %d utterances", len(done.bad), len(utterances))
    return done


def _cepstra(features: FeaturesConfig) -> FeaturesConfig:
    """Return the cepstra of the GMM-HMM beside a network's features: those fmllr begins with, or the usual ones."""
    if features.name == "fmllr":
        FmllrFrontend(features)  # refuses what cannot be before hours are spent
        return replace(features, name="mfcc", cmvn="speaker", cmvn_variance=False, deltas=0, splice=0)
    framing = ("sample_rate_hz", "frame_length_ms", "frame_shift_ms", "low_freq_hz", "high_freq_hz", "cache")
    return replace(FEATURES, **{key: getattr(features, key) for key in framing})


def fmllr_frontend(config: FeaturesConfig, done: Done) -> FmllrFrontend:
    """Return the front end of ``features=fmllr`` with what ``train_hmm`` returned."""
    transforms = done.system.trained.transforms
    names = done.material.speakers.names
    return FmllrFrontend(config, done.system, {} if transforms is None else dict(zip(names, transforms, strict=True)))


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
    for part in whole_speakers(utterances, _HOURS_AT_ONCE):
        material = load(part, FeatureSource(system.features, corpus, cache_dir), system.vocabulary, [])
        if material.utterances:
            pairs = zip(material.utterances, _aligned(system, material)[1], strict=True)
            aligned |= {u.utt_id: alignment for u, alignment in pairs if alignment is not None}
    return aligned


def _aligned(system: System, material: Material) -> tuple[Estimate, list[Alignment | None]]:
    """Return the speakers' first estimate, and alignments of what both passes have adapted."""
    feats, label = system.project(material.base), system.known(material)
    found = system.adapt(feats, material.speakers, label)
    adapted = material.speakers.transform(found.transforms, feats)
    return found.first, label(system.trained.model, adapted)


def align_manifest(
    model: Path, manifest: Path, out: Path, corpus: CorpusConfig, tick: Callable[[], object] = _nothing
) -> Done:
    """Align the utterances of a manifest with their texts, adapted to their speakers.

    Writes ``words.ctm``, ``phones.ctm``, a TextGrid for each utterance and ``bad_utterances.jsonl`` into ``out``.

    Raises:
        DataError: no utterance can be used, or model or manifest are malformed.
    """
    system = System.read(model)
    material, done = _load(system, manifest, corpus, True, tick)
    first, alignments = _aligned(system, material)
    done.bad.extend(unaligned(material, alignments))
    aligned = tuple(
        timed(u.utt_id, u.text.split(), alignment, material.topology, system.features, u.duration_s)
        for u, alignment in zip(material.utterances, alignments, strict=True)
        if alignment is not None
    )
    grids = out / "textgrid"
    with write_errors(out, 0):
        grids.mkdir(parents=True, exist_ok=True)
    for tier in ("words", "phones"):
        atomic_write(out / f"{tier}.ctm", ctm(aligned, tier))
    names = file_names([u.utt_id for u in aligned], ".TextGrid")
    for utterance in aligned:
        atomic_write(grids / names[utterance.utt_id], text_grid(utterance))
    write_bad_utterances(out / BAD, done.bad)
    return Done(system, material, done.missing, done.bad, first, aligned)


def apply_manifest(
    model: Path,
    manifest: Path,
    out: Path,
    corpus: CorpusConfig,
    *,
    with_text: bool = False,
    tick: Callable[[], object] = _nothing,
) -> Done:
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
    system = System.read(model)
    material, done = _load(system, manifest, corpus, with_text, tick)
    feats = system.project(material.base)
    found = system.adapt(feats, material.speakers, system.known(material) if with_text else system.recognised)
    adapted = material.speakers.transform(found.transforms, feats)
    with write_errors(out, 0):
        out.mkdir(parents=True, exist_ok=True)
    by_id = sorted(zip((u.utt_id for u in material.utterances), adapted, strict=True), key=lambda pair: pair[0])
    write_table(out / "feats.ark", by_id, scp=out / "feats.scp")
    by_name = sorted(zip(material.speakers.names, found.transforms.unbind(), strict=True), key=lambda pair: pair[0])
    write_table(out / "trans.ark", by_name, scp=out / "trans.scp")
    names = [material.speakers.names[i] for i in material.speakers.of_utterance]
    pairs = sorted((u.utt_id, name) for u, name in zip(material.utterances, names, strict=True))
    atomic_write(out / "utt2spk", "".join(f"{utt_id} {name}\n" for utt_id, name in pairs))
    write_bad_utterances(out / BAD, done.bad)
    return Done(system, material, done.missing, done.bad, found.first)


def _load(
    system: System, manifest: Path, corpus: CorpusConfig, spoken: bool, tick: Callable[[], object]
) -> tuple[Material, Done]:
    utterances = read_manifest(manifest)
    bad: list[BadUtterance] = []
    material = load(
        utterances, FeatureSource(system.features, corpus), system.vocabulary, bad, spoken=spoken, tick=tick
    )
    _refuse_none(material, utterances, bad)
    return material, Done(system, material, system.vocabulary.missing(utterances) if spoken else [], bad)


def _refuse_none(material: Material, utterances: Sequence[Utterance], bad: Sequence[BadUtterance]) -> None:
    if not material.utterances:
        first = f"{bad[0].utt_id}: {bad[0].reason}" if bad else "the manifest is empty"
        fix = _FIXES["audio" if bad and bad[0].stage == "audio" else "text"]
        raise DataError(f"none of {len(utterances)} utterances can be used; {first}", fix=fix)
