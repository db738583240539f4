"""From scores to words by beam search in a graph."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_ligru.config import ranged
from asr_ligru.decode.result import MOST_RESCORED, Candidate, Rescorer, Result, TimedWord
from asr_ligru.decode.wfst.graph import DecodingGraph
from asr_ligru.decode.wfst.lattice import BestPath, Reading, best_path, labels_of, readings
from asr_ligru.decode.wfst.libraries import kaldi_decoder
from asr_ligru.errors import ConfigError
from asr_ligru.text.units import BLANK_ID

_COMPARED = 100  # readings that confidences are taken from

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchOptions:
    """What the search weighs and keeps.

    Attributes:
        acoustic_scale: factor on the scores of frames, > 0; the language model's weight is 1.
        word_score: added for each word, natural log; below 0 it is a penalty on insertions.
        beam: paths worse than the best by more are dropped, natural log, > 0.
        lattice_beam: the same for other readings, > 0.
        blank_penalty: taken from the blank's log probability in each frame of a CTC model, before scaling, >= 0.
    """

    acoustic_scale: float = ranged(1.0, 1e-4, 100.0)
    word_score: float = ranged(0.0, -100.0, 100.0)
    beam: float = ranged(12.0, 0.1, 1e4)
    lattice_beam: float = ranged(6.0, 0.1, 1e4)
    blank_penalty: float = ranged(0.0, 0.0, 100.0)


class WfstDecoder:
    """Searches a graph; a ``decode.result.Decoder``.

    Also reads the log-likelihoods (B, T, P) of tied states, where ``log_probs`` (B, T', V) is said.

    A word's confidence is the posterior probability of the readings that have it in its place, among the likeliest
    within ``lattice_beam``.

    Args:
        graph: what is searched.
        options: how.
        log_priors: (P,) natural log, taken from the scores of frames; of a hybrid model's states.
        temperature: what scores are divided by for confidences, > 0.
        rescorer: what adds to the scores of the 100 likeliest readings; None for nothing.
        compared: how many readings confidences are taken from; with 1, which takes a tenth of the time, they are 1.

    Attributes:
        partial: utterances so far for which the beam or the audio ended inside a word or sentence; their results are
            not ``complete``.
    """

    def __init__(
        self,
        graph: DecodingGraph,
        options: SearchOptions | None = None,
        log_priors: Tensor | None = None,
        temperature: float = 1.0,
        rescorer: Rescorer | None = None,
        compared: int = _COMPARED,
    ) -> None:
        self.partial = 0
        self._compared = compared
        self._graph = graph
        self._temperature = temperature
        self._rescorer = rescorer
        self._options = options or SearchOptions()
        taken = _taken_off(graph.num_scores, self._options, log_priors)
        weighed = graph.first * self._options.word_score - self._options.acoustic_scale * taken[graph.columns]
        self._bonus = weighed.astype(np.float32)  # of each label, in every frame

    @cached_property
    def _fst(self) -> Any:
        return self._graph.fst.const()  # the search refers to it without holding it

    @cached_property
    def _search(self) -> Any:
        library = kaldi_decoder()
        beams = library.LatticeSimpleDecoderConfig(beam=self._options.beam, lattice_beam=self._options.lattice_beam)
        return library.LatticeSimpleDecoder(self._fst, beams)

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        """Decode a batch; see ``decode.result.Decoder``."""
        rows, before = log_probs.detach().to("cpu", torch.float32), self.partial
        found = [self._decode(row[:n].numpy(), n_best) for row, n in zip(rows, log_prob_lens.tolist(), strict=True)]
        if self.partial > before:
            what = "%d of %d texts are partial: no sentence that the beam kept ends with the audio; widen decode.beam"
            _log.warning(what, self.partial - before, len(found))
        return found

    def weighed(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the graph's labels score in each frame (T, N), from the scores of a frame (T, num_scores)."""
        sums = self._options.acoustic_scale * scores[:, self._graph.columns] + self._bonus
        return sums.astype(np.float32, copy=False)

    def _decode(self, scores: NDArray[np.float32], n_best: int) -> Result:
        search = self._search
        if not len(scores) or not search.decode(kaldi_decoder().DecodableCtc(self.weighed(scores))):
            self.partial += 1
            return Result("", 0.0, (), (Candidate("", 0.0),), complete=False)
        complete = search.final_relative_cost() < math.inf
        self.partial += not complete
        best = best_path(search.get_best_path()[1])
        lattice = search.get_raw_lattice()[1]
        wanted = max(n_best, self._compared)
        others = readings(lattice, wanted) if wanted > 1 else []
        found = [best.reading, *(r for r in others if r.words != best.reading.words)]
        if self._rescorer:
            found = found[:MOST_RESCORED]
            added = self._rescorer([self._text(reading) for reading in found])
            found = sorted(map(_plus, found, added), key=lambda reading: -reading.score)
            labels = best.labels if found[0].words == best.reading.words else labels_of(lattice, found[0].words)
            best = BestPath(labels, found[0])
        return self._result(best, found, n_best, complete)

    def _result(self, best: BestPath, found: Sequence[Reading], n_best: int, complete: bool) -> Result:
        words = tuple(
            TimedWord(self._graph.words[number - 1], start, end, confidence)
            for number, (start, end), confidence in zip(
                best.reading.words, self._spans(best.labels), confidences(found, self._temperature), strict=complete
            )
        )
        text = " ".join(word.text for word in words)
        others = [Candidate(self._text(reading), reading.score) for reading in found[1:n_best]]
        return Result(text, best.reading.score, words, (Candidate(text, best.reading.score), *others), complete)

    def _text(self, reading: Reading) -> str:
        return " ".join(self._graph.words[number - 1] for number in reading.words)

    def _spans(self, labels: Sequence[int]) -> list[tuple[int, int]]:
        """Return the first frame of each word and the one after its last."""
        path = np.array(labels) - 1
        starts = self._graph.first[path].nonzero()[0]
        heard = self._graph.heard[path].nonzero()[0]
        if not len(starts):
            return []
        ends = heard[np.searchsorted(heard, [*starts[1:], len(path)]) - 1] + 1
        return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _taken_off(num_scores: int, options: SearchOptions, log_priors: Tensor | None) -> NDArray[np.floating[Any]]:
    """Return what is taken from each score of a frame (num_scores,), before scaling."""
    if log_priors is None:
        taken = np.zeros(num_scores)
        taken[BLANK_ID] = options.blank_penalty
        return taken
    if options.blank_penalty:
        raise ConfigError("the states of a hybrid model have no blank to take a penalty from", fix="blank_penalty 0")
    return log_priors.numpy()


def _plus(reading: Reading, added: float) -> Reading:
    return Reading(reading.words, reading.score + added)


def confidences(found: Sequence[Reading], temperature: float = 1.0) -> list[float]:
    """Return how probable each word of the first reading is: the posterior of the readings that have it there too."""
    words = found[0].words
    shares = [math.exp((reading.score - found[0].score) / temperature) for reading in found]
    having = np.zeros(len(words))
    for reading, share in zip(found, shares, strict=True):
        for block in SequenceMatcher(None, words, reading.words, autojunk=False).get_matching_blocks():
            having[block.a : block.a + block.size] += share
    return [float(share) for share in having / sum(shares)]
