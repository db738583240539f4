"""What a beam search asks about words: the n-gram's probability, a bonus for each word and for hot ones."""

from __future__ import annotations

import math
import tempfile
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.errors import EnvironmentError_
from asr_ligru.text.arpa import write_arpa
from asr_ligru.text.ngram import EOS, NO_UNK, UNK, NgramModel
from asr_ligru.text.sentences import Speller

_LN10 = math.log(10.0)
_LAST = "\U0010ffff"  # stands behind every other character


class Ngram:
    """An n-gram model loaded into KenLM.

    Args:
        model: the model.
        speller: turns a word into the model's units.

    Raises:
        EnvironmentError_: the extra ``lm`` is not installed.
    """

    def __init__(self, model: NgramModel, speller: Speller) -> None:
        try:
            import kenlm
        except ImportError as error:
            fix = 'pip install "asr-ligru[lm]"'
            raise EnvironmentError_("beam search with a language model needs kenlm", fix=fix) from error
        quiet = kenlm.Config()
        quiet.show_progress = False
        quiet.arpa_complain = kenlm.ARPALoadComplain.NONE
        with tempfile.TemporaryDirectory() as folder:  # KenLM reads files only, and not all that read_arpa does
            path = Path(folder) / "lm.arpa"
            write_arpa(path, model)
            self._model: Any = kenlm.Model(str(path), quiet)
        self._new_state = kenlm.State
        self._speller = speller
        self._units = model.vocabulary
        self.order = model.order
        self.words = model.units == "word"
        unigrams = model.orders[0]
        self._sorted = sorted(self._units)
        self._unigrams = np.array([unigrams[word,][0] for word in self._sorted])
        self._unknown = unigrams.get((UNK,), (NO_UNK, 0.0))[0]

    def start(self, in_sentence: bool = False) -> Any:
        """Return the state at the beginning of a sentence, or anywhere in one."""
        state = self._new_state()
        (self._model.NullContextWrite if in_sentence else self._model.BeginSentenceWrite)(state)
        return state

    def score(self, state: Any, word: str) -> tuple[float, bool, Any]:
        """Return the log10 probability of a word, whether it is known, and the state after it."""
        total, known = 0.0, True
        for unit in self._speller(word):
            after = self._new_state()
            total += self._model.BaseScore(state, unit, after)
            known = known and unit in self._units
            state = after
        return total, known, state

    def score_end(self, state: Any) -> float:
        """Return the log10 probability of the sentence's end."""
        return float(self._model.BaseScore(state, EOS, self._new_state()))

    def look_ahead(self, beginning: str) -> tuple[float, bool]:
        """Return about the best log10 probability of a word that begins so, and whether there is a known one."""
        if not self.words:
            total, known, _ = self.score(self.start(in_sentence=True), beginning)
            return total, known
        first, last = bisect_left(self._sorted, beginning), bisect_left(self._sorted, beginning + _LAST)
        return (float(self._unigrams[first:last].max()), True) if first < last else (self._unknown, False)


class WordScorer:
    """What SpeechBrain's searchers call a language model; scores are natural logarithms and weighted.

    An unfinished word is scored by what it may become, so that readings in and between words can be compared.

    Args:
        ngram: the language model, or None.
        settings: the weights.
        hot_words: words to favour; one that the language model does not have costs no penalty.
    """

    def __init__(self, ngram: Ngram | None, settings: BeamSettings, hot_words: Iterable[str] = ()) -> None:
        self._ngram = ngram
        self._settings = settings
        self._hot = frozenset(hot_words)
        self.order = ngram.order if ngram else 1
        self._partial: dict[str, float] = {}

    def get_start_state(self) -> Any:
        """Return the state at the beginning of a sentence."""
        return self._ngram.start() if self._ngram else None

    def score(self, state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        """Return the score of a word and the state after it.

        Args:
            state: before the word.
            word: the word; "" for none, where only the end is to be scored.
            is_last_word: whether the sentence ends after it; that is scored, too.
        """
        total, known = 0.0, True
        if word and self._ngram:
            total, known, state = self._ngram.score(state, word)
        if is_last_word and self._ngram:
            total += self._ngram.score_end(state)
        own = self._word_score(known or word in self._hot, float(word in self._hot)) if word else 0.0
        return self._settings.lm_weight * _LN10 * total + own, state

    def score_partial_token(self, partial_token: str) -> float:
        """Return about the best score of a word that begins so."""
        if partial_token not in self._partial:
            hot = max((len(partial_token) / len(w) for w in self._hot if w.startswith(partial_token)), default=0.0)
            best, known = self._ngram.look_ahead(partial_token) if self._ngram else (0.0, True)
            own = self._word_score(known or hot > 0, hot)
            self._partial[partial_token] = self._settings.lm_weight * _LN10 * best + own
        return self._partial[partial_token]

    def _word_score(self, known: bool, hot: float) -> float:
        weights = self._settings
        return weights.word_bonus + hot * weights.hot_word_bonus - (0.0 if known else weights.unknown_penalty)
