"""Choose the weights of a beam search on a development set: the network runs once, the search many times."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from asr_ligru.data.manifest import read_manifest
from asr_ligru.decode.beam.make import check_searchable, load_ngram
from asr_ligru.decode.beam.scorer import Ngram
from asr_ligru.decode.beam.search import BeamDecoder
from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.result import Result
from asr_ligru.decode.run import decode_utterances
from asr_ligru.decode.trials import Trial
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.models.load import LoadedModel
from asr_ligru.safety import printable
from asr_ligru.score.wer import Scores, score
from asr_ligru.typing import Utterance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grid:
    """What is tried, every combination.

    Attributes:
        lms: ARPA files.
        lm_weights: as ``BeamSettings.lm_weight``.
        word_bonuses: as ``BeamSettings.word_bonus``.
        unknown_penalties: as ``BeamSettings.unknown_penalty``.
        base: everything else.
    """

    lms: tuple[Path, ...]
    lm_weights: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5)
    word_bonuses: tuple[float, ...] = (-2.0, -1.0, 0.0, 1.0, 2.0)
    unknown_penalties: tuple[float, ...] = (10.0,)
    base: BeamSettings = field(default_factory=BeamSettings)

    def settings(self) -> list[BeamSettings]:
        """Return each combination of weights."""
        weights = itertools.product(self.lm_weights, self.word_bonuses, self.unknown_penalties)
        return [replace(self.base, lm_weight=a, word_bonus=b, unknown_penalty=c) for a, b, c in weights]

    @property
    def size(self) -> int:
        """How many searches it takes."""
        return len(self.lms) * len(self.settings())


def development_set(model: LoadedModel, split: str, corpus: Path | None = None) -> list[Utterance]:
    """Return the utterances that weights may be chosen on.

    Args:
        model: whose corpus it is.
        split: name of a manifest of the corpus.
        corpus: the prepared corpus; that of the model's training by default.

    Raises:
        ConfigError: it is the test set, or has utterances of it.
        DataError: no such manifest.
    """
    config = model.config.corpus
    folder = corpus or Path(config.dir)
    fix = f"--split {config.dev}; the test set is scored once, in the end"
    if split in (config.test, "test"):
        raise ConfigError(f"weights are not chosen on the test set, got split {printable(split)}", fix=fix)
    utterances = read_manifest(folder / f"{split}.jsonl")
    held_out = folder / f"{config.test}.jsonl"
    shared = {u.utt_id for u in read_manifest(held_out)} & {u.utt_id for u in utterances} if held_out.is_file() else ()
    if shared:
        raise ConfigError(f"{len(shared)} utterances of {printable(split)} are in the test set", fix=fix)
    return utterances


def tune(
    model: LoadedModel,
    utterances: Sequence[Utterance],
    grid: Grid,
    *,
    tick: Callable[[], object] = lambda: None,
) -> list[Trial]:
    """Try every combination.

    Args:
        model: a CTC model.
        utterances: the development set.
        grid: what is tried.
        tick: called after each utterance that the network has read, and after each search.

    Returns:
        The trials, the best first.

    Raises:
        ConfigError: the model or a language model cannot be used so.
        DataError: nothing could be read.
        EnvironmentError_: the extra ``lm`` is not installed.
    """
    check_searchable(model)
    ngrams = [load_ngram(path, model.tokenizer) for path in grid.lms]
    outputs = _network_outputs(model, utterances, tick)
    refs = {u.utt_id: u.text for u in utterances if u.utt_id in outputs}
    trials = []
    for (path, ngram), settings in itertools.product(zip(grid.lms, ngrams, strict=True), grid.settings()):
        trials.append(Trial(path, settings, _search(model, ngram, settings, outputs, refs)))
        tick()
    return sorted(trials, key=lambda trial: trial.rank)


def _network_outputs(
    model: LoadedModel, utterances: Sequence[Utterance], tick: Callable[[], object]
) -> dict[str, Tensor]:
    """Return the log probabilities (T', V) of each utterance, by id; what cannot be read is left out and logged."""
    keep = _Keep()
    hyps, _ = decode_utterances(model, utterances, decoder=keep, tick=tick)
    failed = [hyp for hyp in hyps if hyp.status != "ok"]
    if len(failed) == len(hyps):
        raise DataError(f"none of {len(hyps)} utterances could be read: {printable(failed[0].status)}")
    for hyp in failed:
        log.warning("left out: %s: %s", printable(hyp.utt_id), printable(hyp.status))
    return {hyp.utt_id: keep.rows[int(hyp.text)] for hyp in hyps if hyp.status == "ok"}


class _Keep:
    """A decoder that keeps what it is given; a result's text is its number."""

    def __init__(self) -> None:
        self.rows: list[Tensor] = []

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        first = len(self.rows)
        rows = zip(log_probs, log_prob_lens.tolist(), strict=True)
        self.rows += [row[:length].clone().cpu() for row, length in rows]
        return [Result(str(number), 0.0, (), ()) for number in range(first, len(self.rows))]


def _search(
    model: LoadedModel,
    ngram: Ngram,
    settings: BeamSettings,
    outputs: Mapping[str, Tensor],
    refs: Mapping[str, str],
) -> Scores:
    decoder = BeamDecoder(model.tokenizer, settings, ngram)
    hyps = {utt_id: decoder(row[None], torch.tensor([len(row)]))[0].text for utt_id, row in outputs.items()}
    return score(refs, hyps, profile=model.config.corpus.normalize)
