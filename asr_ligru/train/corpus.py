"""A corpus made ready to train on: every unusable utterance found, counted and recorded beforehand."""

from __future__ import annotations

import hashlib
import json
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from asr_ligru import ranks
from asr_ligru.config import AugmentConfig, Config, CorpusConfig, FeaturesConfig
from asr_ligru.data.bad_rate import check_rate
from asr_ligru.data.distort import Distortion, distortion_of
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.augment import speed_samples
from asr_ligru.features.framing import Framing
from asr_ligru.features.frontend import Frontend
from asr_ligru.features.streams import with_streams
from asr_ligru.features.tempo import tempo_samples
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.hmm.run import Done, fmllr_frontend, train_hmm
from asr_ligru.hmm.stages import ITERATIONS
from asr_ligru.hmm.ubm_run import ubm_frontend
from asr_ligru.safety import printable
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.normalize import normalize
from asr_ligru.text.targets import ctc_feasible
from asr_ligru.text.tokenizer import Tokenizer, build_tokenizer
from asr_ligru.train.progress import ProgressBar
from asr_ligru.train.shard_split import ShardCorpus
from asr_ligru.train.split import Split
from asr_ligru.train.targets import FrameTargets
from asr_ligru.typing import BadUtterance, Utterance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """What a run trains on.

    Attributes:
        train: the training utterances.
        dev: those that every decision is made on.
        source: where features come from, its normalisation fitted on ``train``.
        tokenizer: the output units.
        lexicon: pronunciations, where the corpus has them.
        bad: what was left out, and why.
        hmm: what the targets of a hybrid model are states of; None where they are tokens.
        distortion: random changes to the training samples, where there are any.
    """

    train: Split
    dev: Split
    source: FeatureSource
    tokenizer: Tokenizer
    lexicon: Lexicon | None
    bad: list[BadUtterance]
    hmm: HybridHmm | None = None
    distortion: Distortion | None = None

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what decides on batches and targets; a run goes on only where it is the same."""
        digest = hashlib.sha256()
        for piece in _json_pieces([self.tokenizer.tokens, [split.identity() for split in (self.train, self.dev)]]):
            digest.update(piece.encode())
        return digest.hexdigest()


def _json_pieces(value: Any, depth: int = 4) -> Iterator[str]:
    """Yield what ``json.dumps`` returns, in pieces of one utterance: the whole is larger than the corpus in memory."""
    if depth == 0 or not isinstance(value, Sequence) or isinstance(value, str):
        yield json.dumps(value, default=list)
        return
    for number, item in enumerate(value):
        yield ", " if number else "["
        yield from _json_pieces(item, depth - 1)
    yield "]" if len(value) else "[]"


def load_split(corpus: CorpusConfig, name: str) -> list[Utterance]:
    """Read a split's manifest with its texts normalised.

    Raises:
        DataError: the corpus was not prepared, or its manifest is malformed.
    """
    path = Path(corpus.dir) / f"{name}.jsonl"
    if not path.is_file():
        raise DataError(
            f"corpus {corpus.name!r} is not prepared: there is no {path}",
            where="corpus.dir",
            fix=f"asr-ligru prepare {corpus.name} --root FOLDER",
        )
    utterances = read_manifest(path)
    return [replace(u, text=normalize(u.text, corpus.normalize)) for u in utterances]


def load_corpus(
    config: Config,
    cache_dir: Path | None,
    output_length: Callable[[int], int],
    bars: Callable[[str, int], ProgressBar],
    bad: list[BadUtterance],
) -> Corpus:
    """Load, check and index the training and development sets.

    Args:
        config: of the run.
        cache_dir: where raw features are kept.
        output_length: frames of the model's output for so many frames of features.
        bars: makes a progress bar from a label and a total.
        bad: gets a record of each utterance left out, also when an error is raised.

    Raises:
        DataError: texts with characters outside the inventory, too many unusable utterances, or none left.
    """
    corpus, limit, augment = config.corpus, config.train.max_utterances, config.train.augment
    distortion = distortion_of(augment, config.features.sample_rate_hz, config.seed)
    normalize("", corpus.scoring)  # an unknown profile is refused now, not after an epoch
    lexicon_path = Path(corpus.dir) / "lexicon.txt"
    lexicon = Lexicon.read(lexicon_path) if lexicon_path.is_file() else None
    shards = ShardCorpus(config) if corpus.shards else None
    train = [] if shards else load_split(corpus, corpus.train)
    splits = {"train": train, "dev": load_split(corpus, corpus.dev)}
    done = _gmm_hmm(config, splits["train"][:limit], lexicon, bars)
    first = _frontend(config, splits["train"][:limit], done, bars)
    frontend = with_streams(first, config.streams)
    source = FeatureSource(config.features, config.corpus, cache_dir, frontend)
    targets = FrameTargets(config, done, source, bars) if config.model.name == "hybrid" else None
    texts = shards.texts() if shards else (u.text for u in train if u.text)
    tokenizer = build_tokenizer(config.tokens, texts, lexicon)
    fewest = partial(_fewest, config.features, output_length)
    ready: dict[str, Split] = {}
    if shards:
        del splits["train"]
        ready["train"] = shards.split(tokenizer, partial(fewest, augment), _tokenise, bad)
    for name, everything in splits.items():
        utterances = everything[:limit]
        spoken, silent = _split_by_text(utterances) if name == "train" else (utterances, [])
        with bars(f"reading {name}", len(ranks.share(spoken))) as bar:
            good, unreadable = source.scan(spoken, fit=name == "train", tick=bar.tick)
        bad += [*silent, *unreadable]
        check_rate(unreadable, len(utterances), corpus)
        own = partial(fewest, augment if name == "train" else AugmentConfig())
        if targets is not None:
            ready[name], lost = _label(good, targets, train=name == "train")
        else:
            ready[name], lost = _tokenise(good, tokenizer, own)
        bad += lost
        if config.model.ctc_weight:
            ready[name], unspelled = _spell(ready[name], tokenizer, own)
            bad += unspelled
        if not any(u.text for u in ready[name].utterances):
            what = f"no usable utterance with words in split {name!r} of {len(utterances)}: {_summary(bad)}"
            fix = "bad_utterances.jsonl in the folder of the run says what is wrong with each"
            raise DataError(what, where=printable(str(Path(corpus.dir) / f"{getattr(corpus, name)}.jsonl")), fix=fix)
    hmm = targets.hmm if targets else None
    return Corpus(ready["train"], ready["dev"], source, tokenizer, lexicon, bad, hmm, distortion)


def _frontend(
    config: Config, utterances: Sequence[Utterance], done: Done | None, bars: Callable[[str, int], ProgressBar]
) -> Frontend:
    """Return the front end of the run's features, with the model that adapts them."""
    by_ubm, adapt = config.adapt.name == "ubm", config.adapt
    if config.features.name != "fmllr":
        if by_ubm:
            raise ConfigError(f"adapt=ubm with features={config.features.name}", fix="features=fmllr adapt=ubm")
        return Frontend(config.features)
    if by_ubm:
        with bars("training the background model", adapt.iterations + adapt.rounds * adapt.updates) as bar:
            return ubm_frontend(config, utterances, lambda progress: bar.tick())
    assert done is not None
    return fmllr_frontend(config.features, done)


def _gmm_hmm(
    config: Config,
    utterances: Sequence[Utterance],
    lexicon: Lexicon | None,
    bars: Callable[[str, int], ProgressBar],
) -> Done | None:
    """Return the GMM-HMM that features or targets come from, where they do."""
    adapts = config.features.name == "fmllr" and config.adapt.name == "hmm"
    if not adapts and (config.model.name != "hybrid" or config.train.align_with):
        return None
    if lexicon is None:
        log.warning("no lexicon.txt in %s: each letter is a phone", config.corpus.dir)
    with bars("training the GMM-HMM", sum(ITERATIONS.values())) as bar:
        return train_hmm(config, utterances, lexicon, lambda progress: bar.tick())


def _fewest(
    features: FeaturesConfig, output_length: Callable[[int], int], augment: AugmentConfig, num_frames: int
) -> int:
    """Return the fewest output frames that an utterance of ``num_frames`` gives, spoken as fast as it can be."""
    framing = Framing.of(features)
    samples = (num_frames - 1) * framing.shift + framing.window
    faster = tempo_samples(speed_samples(samples, max((1.0, *augment.speed))), max((1.0, *augment.tempo)))
    return output_length(framing.num_frames(faster))


def _split_by_text(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[BadUtterance]]:
    silent = [BadUtterance(u.utt_id, "text", "empty transcript", str(u.audio_path)) for u in utterances if not u.text]
    return [u for u in utterances if u.text], silent


def _tokenise(
    good: Sequence[tuple[Utterance, int]], tokenizer: Tokenizer, output_length: Callable[[int], int]
) -> tuple[Split, list[BadUtterance]]:
    encoded = tokenizer.encode_all([u for u, _ in good])
    for item, count in encoded.unknown.items():
        log.warning("%s '%s' is unknown: %s %d times", tokenizer.item, printable(item), tokenizer.unknown, count)
    if encoded.unknown:
        words = [word for utterance, _ in good for word in utterance.text.split()]
        lost = sum(bool(tokenizer.unknown_in(word)) for word in words)
        log.warning(
            "%d of %d words hold such: the error rate is at least %.2f %%", lost, len(words), 100 * lost / len(words)
        )
    kept: list[tuple[Utterance, int, list[int]]] = []
    short = []
    for utterance, frames in good:
        tokens = encoded.tokens[utterance.utt_id]
        if ctc_feasible(output_length(frames), tokens):
            kept.append((utterance, frames, tokens))
        else:
            reason = f"{len(tokens)} tokens do not fit in {output_length(frames)} output frames"
            short.append(BadUtterance(utterance.utt_id, "length", reason, str(utterance.audio_path)))
    return Split.of(kept), short


def _label(
    good: Sequence[tuple[Utterance, int]], targets: FrameTargets, train: bool
) -> tuple[Split, list[BadUtterance]]:
    """Give each frame its state; a development utterance without alignment is scored all the same."""
    found = targets.train(good) if train else targets.dev(good)
    kept: list[tuple[Utterance, int, Sequence[int]]] = []
    lost = []
    for utterance, frames in good:
        states = found.get(utterance.utt_id)
        if states is None and train:
            reason = targets.reason(utterance, frames)
            lost.append(BadUtterance(utterance.utt_id, "align", reason, str(utterance.audio_path)))
            continue
        kept.append((utterance, frames, array("i", [] if states is None else states.tolist())))
    return Split.of(kept), lost


def _spell(split: Split, tokenizer: Tokenizer, output_length: Callable[[int], int]) -> tuple[Split, list[BadUtterance]]:
    """Add the tokens of a CTC head; an utterance too short for its own keeps its states and has none."""
    spelled, short = _tokenise(list(zip(split.utterances, split.num_frames, strict=True)), tokenizer, output_length)
    tokens = {u.utt_id: ids for u, ids in zip(spelled.utterances, spelled.tokens, strict=True)}
    if not any(tokens.values()):
        reason = short[0].reason if short else "no words"
        raise DataError(f"no utterance is long enough for the CTC head: {reason}", fix="lower model.stack_frames")
    kept = [replace(bad, stage="ctc", reason=f"{bad.reason} of the CTC head; its states are used") for bad in short]
    return replace(split, ctc_tokens=[tokens.get(u.utt_id, []) for u in split.utterances]), kept


def _summary(bad: Sequence[BadUtterance]) -> str:
    return "; ".join(f"{count} x {stage}" for stage, count in Counter(b.stage for b in bad).items())
