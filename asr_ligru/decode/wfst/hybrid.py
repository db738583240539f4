"""Decoding of hybrid models by their own lexicon and language model, or another language model of any order."""

from __future__ import annotations

from torch import Tensor

from asr_ligru.decode.result import Result
from asr_ligru.decode.wfst.build import hmm_graph
from asr_ligru.decode.wfst.decoder import SearchOptions, WfstDecoder
from asr_ligru.hmm.hybrid import HybridHmm

BEAM = 14.0  # on AN4 what is found with it is what every path compared gives


class HybridWfstDecoder:
    """Searches a graph of states, lexicon and language model; a ``decode.result.Decoder``.

    Args:
        hmm: words, phones and states.
        acoustic_scale: factor on acoustic log-likelihoods, > 0.
        word_score: added for each word.

    Raises:
        DataError: no word is both in the lexicon and in the language model.
        EnvironmentError_: the extra is not installed, or the graph is too large for this machine.
    """

    def __init__(self, hmm: HybridHmm, acoustic_scale: float, word_score: float) -> None:
        states = hmm.states
        graph = hmm_graph(states.tree, states.transitions, hmm.lm, hmm.vocabulary.lexicon)
        self._log_priors = states.log_priors
        self._search = WfstDecoder(graph, SearchOptions(acoustic_scale, word_score, BEAM))

    def __call__(self, log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
        """Decode a batch of log probabilities of states (B, T, P); see ``decode.result.Decoder``."""
        return self._search(log_probs.cpu() - self._log_priors, log_prob_lens, n_best)
