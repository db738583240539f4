"""Train a system on a corpus, or find the one that was trained on it; what is done with it is in ``manifests.py``."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr_ligru import ranks
from asr_ligru.config import Config, CorpusConfig, FeaturesConfig, HmmConfig, as_dict
from asr_ligru.data.manifest import write_bad_utterances
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import DataError
from asr_ligru.hmm.chain import train_chain
from asr_ligru.hmm.decode_words import Unigram
from asr_ligru.hmm.frontend import FmllrFrontend
from asr_ligru.hmm.known_times import PhoneTimes
from asr_ligru.hmm.material import Material, drawn, load, refuse_none, unaligned
from asr_ligru.hmm.stages import Trained
from asr_ligru.hmm.system import System
from asr_ligru.hmm.train import Watch
from asr_ligru.hmm.vocabulary import Missing, Vocabulary, character_lexicon, render_missing
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.typing import BadUtterance, Utterance

log = logging.getLogger(__name__)

BAD = "bad_utterances.jsonl"
FEATURES = FeaturesConfig(name="mfcc", num_bins=23, num_ceps=13, cmvn="speaker", cmvn_variance=False)


def _nothing() -> None:
    return None


@dataclass(frozen=True, eq=False)
class Done:
    """A trained system.

    Attributes:
        system: the model.
        material: what it was trained on.
        missing: words without pronunciation.
        bad: utterances left out, and why.
    """

    system: System
    material: Material
    missing: list[Missing]
    bad: list[BadUtterance]


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
    refuse_none(material.utterances, utterances, bad)
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
