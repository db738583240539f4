"""Choose the weights of a search on a development set: the network runs once, the search many times."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asr_ligru.data.manifest import read_manifest
from asr_ligru.decode.grids import Grid
from asr_ligru.decode.rescore import RescoreGrid, Rescoring, added, load_rescorer
from asr_ligru.decode.result import MOST_RESCORED, Candidate, Decoder, Result
from asr_ligru.decode.run import decode_utterances
from asr_ligru.decode.trials import Trial
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.lm.model import NeuralLm
from asr_ligru.models.load import LoadedModel
from asr_ligru.safety import printable
from asr_ligru.score.wer import Scores, score
from asr_ligru.typing import Utterance

log = logging.getLogger(__name__)


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
    models: Sequence[LoadedModel],
    utterances: Sequence[Utterance],
    grid: Grid,
    rescoring: RescoreGrid | None = None,
    *,
    tick: Callable[[], object] = lambda: None,
) -> list[Trial]:
    """Try every combination.

    Args:
        models: one, or several that shall have the same weights: their errors are added up.
        utterances: the development set.
        grid: what is tried.
        rescoring: what is tried in scoring the readings of each search again; None for nothing.
        tick: called after each utterance that a network has read, and after each combination.

    Returns:
        The trials, the best first.

    Raises:
        ConfigError: a model or a language model cannot be used so.
        DataError: nothing could be read.
        EnvironmentError_: an extra is not installed.
    """
    searches = {
        (lm, number): grid.searches(model, lm, n_best=rescoring is not None)
        for lm in grid.lms
        for number, model in enumerate(models)
    }
    tasks = [_Task.of(model, utterances, tick) for model in models]
    choosers = _choosers(rescoring, models[0])
    trials = []
    for lm, settings in itertools.product(grid.lms, grid.settings(models[0])):
        scores = [task.scores(searches[lm, number](settings), choosers) for number, task in enumerate(tasks)]
        tried = zip(choosers, zip(*scores, strict=True), strict=True)
        trials += [Trial(lm, settings, of_models, grid.lexicon, chooser.rescoring) for chooser, of_models in tried]
        tick()
    return sorted(trials, key=lambda trial: trial.rank)


@dataclass(frozen=True)
class _Task:
    """What one model's network made of the development set: log probabilities (T', V) and texts by utterance id."""

    outputs: Mapping[str, Tensor]
    refs: Mapping[str, str]
    profile: str

    @classmethod
    def of(cls, model: LoadedModel, utterances: Sequence[Utterance], tick: Callable[[], object]) -> _Task:
        outputs = _network_outputs(model, utterances, tick)
        refs = {u.utt_id: u.text for u in utterances if u.utt_id in outputs}
        return cls(outputs, refs, model.config.corpus.scoring)

    def scores(self, decoder: Decoder, choosers: Sequence[_Chooser]) -> list[Scores]:
        """Search once, and return how well each chooser does with the readings found."""
        n_best = max(chooser.n_best for chooser in choosers)
        found = {
            utt_id: decoder(row[None], torch.tensor([len(row)]), n_best)[0].n_best
            for utt_id, row in self.outputs.items()
        }
        return [
            score(self.refs, {utt_id: chooser(listed) for utt_id, listed in found.items()}, profile=self.profile)
            for chooser in choosers
        ]


class _Chooser:
    """Takes the first reading."""

    rescoring: Rescoring | None = None
    n_best = 1

    def __call__(self, readings: Sequence[Candidate]) -> str:
        return readings[0].text


class _Rescorer(_Chooser):
    """Takes the best reading after rescoring."""

    n_best = MOST_RESCORED

    def __init__(self, known: _Known, rescoring: Rescoring) -> None:
        self._known, self.rescoring, self._settings = known, rescoring, rescoring.settings

    def __call__(self, readings: Sequence[Candidate]) -> str:
        texts = [reading.text for reading in readings]
        gained = added(texts, self._known.log_probs(texts), self._settings)
        best = max(zip(readings, gained, strict=True), key=lambda pair: pair[0].score + pair[1])
        return best[0].text


class _Known:
    """The log probabilities of a language model, each text asked for once."""

    def __init__(self, lm: NeuralLm) -> None:
        self._lm = lm
        self._found: dict[str, float] = {}

    def log_probs(self, texts: Sequence[str]) -> list[float]:
        new = [text for text in texts if text not in self._found]
        self._found.update(zip(new, self._lm.log_probs(new), strict=True))
        return [self._found[text] for text in texts]


def _choosers(rescoring: RescoreGrid | None, model: LoadedModel) -> list[_Chooser]:
    if rescoring is None:
        return [_Chooser()]
    known = {lm: _Known(load_rescorer(lm, model)) for lm in rescoring.lms}
    return [_Rescorer(known[choice.lm], choice) for choice in rescoring.choices()]


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
