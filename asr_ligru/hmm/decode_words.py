"""The most likely words of utterances: a loop over a vocabulary with the words' own probabilities."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.graph import NO_WORD, Phones, loop_graph
from asr_ligru.hmm.model import StateScorer
from asr_ligru.hmm.search import PathSearch
from asr_ligru.hmm.topology import PAUSES, Pauses
from asr_ligru.text.ngram import BOS, EOS, IMPOSSIBLE, NgramModel

_LN10 = math.log(10.0)


@dataclass(frozen=True)
class Unigram:
    """How likely each word is, whatever came before it.

    Attributes:
        log_probs: natural log of each word's probability.
        end: of that the utterance ends instead.
    """

    log_probs: dict[str, float]
    end: float

    @classmethod
    def of(cls, texts: Iterable[str], vocabulary: Iterable[str]) -> Unigram:
        """Count words, each of the vocabulary once more than it occurs; words outside of it are passed over."""
        lines = [text.split() for text in texts]
        counts = Counter(dict.fromkeys(vocabulary, 1))
        counts.update(word for line in lines for word in line if word in counts)
        total = math.log(sum(counts.values()) + len(lines))
        return cls({w: math.log(n) - total for w, n in counts.items()}, math.log(max(len(lines), 1)) - total)

    @classmethod
    def of_model(cls, model: NgramModel) -> Unigram:
        """Return the single words of an n-gram model."""
        log_probs = {word: _LN10 * model.log10_prob(word, ()) for word in sorted(model.vocabulary)}
        return cls(log_probs, _LN10 * model.log10_prob(EOS, ()))

    def model(self) -> NgramModel:
        """Return it as an n-gram model."""
        probs = {BOS: IMPOSSIBLE, EOS: self.end / _LN10, **{word: p / _LN10 for word, p in self.log_probs.items()}}
        return NgramModel(({(word,): (prob, 0.0) for word, prob in probs.items()},))


@dataclass(frozen=True)
class SearchOptions:
    """What the decoder weighs.

    Attributes:
        acoustic_scale: factor on acoustic log-likelihoods, > 0; 0.1 is a language model weight of ten.
        word_score: added for each word, in the scale of the language model.
    """

    acoustic_scale: float = 0.1
    word_score: float = 0.0


@dataclass(frozen=True, eq=False)
class Spoken:
    """What was recognised.

    Attributes:
        words: in order.
        alignment: of its phones; ``words`` of it are places in this list.
    """

    words: tuple[str, ...]
    alignment: Alignment


class WordLoop:
    """Decodes with any sequence of words, silence or none around each.

    Args:
        pronunciations: word and phones, a word as often as it has pronunciations.
        unigram: of these words; one that it does not have is not recognised.
        options: what is weighed.
        pauses: how likely silence is around words.
    """

    def __init__(
        self,
        pronunciations: Sequence[tuple[str, Phones]],
        unigram: Unigram,
        options: SearchOptions,
        pauses: Pauses = PAUSES,
    ) -> None:
        self._pronunciations, self._options = [p for p in pronunciations if p[0] in unigram.log_probs], options
        weighed = [(phones, unigram.log_probs[word] + options.word_score) for word, phones in self._pronunciations]
        self._graph = loop_graph(weighed, unigram.end, pauses)

    def decode(self, model: StateScorer, feats: Sequence[Tensor]) -> list[Spoken | None]:
        """Return the best words of each utterance, None where there are fewer frames than states of a silence.

        Args:
            model: with the phones of the pronunciations.
            feats: (T, D) of each utterance.
        """
        search = PathSearch([self._graph] * len(feats), model.tree, [len(frames) for frames in feats])
        found = search.best(model, feats, self._options.acoustic_scale)
        return [None if alignment is None else self._spoken(alignment) for alignment in found]

    def _spoken(self, alignment: Alignment) -> Spoken:
        """Number the words of a path through the loop in the order they were spoken."""
        entries: list[str] = []
        words = torch.full_like(alignment.words, NO_WORD)
        place = 0
        while place < len(words):
            entry = int(alignment.words[place])
            length = 1 if entry == NO_WORD else len(self._pronunciations[entry][1])
            if entry != NO_WORD:
                words[place : place + length] = len(entries)
                entries.append(self._pronunciations[entry][0])
            place += length
        return Spoken(tuple(entries), replace(alignment, words=words))
