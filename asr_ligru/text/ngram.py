"""N-gram language models with back-off: what an ARPA file holds, and how well one predicts a text.

``arpa`` reads and writes them, ``kneser_ney`` estimates them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BOS, EOS, UNK = "<s>", "</s>", "<unk>"
SPECIAL = frozenset((BOS, EOS, UNK))
IMPOSSIBLE = -99.0  # how ARPA files write the log10 of zero
NO_UNK = -100.0  # log10 probability of an unknown word where the model has none, as kenlm has it

Gram = tuple[str, ...]


@dataclass(frozen=True)
class NgramModel:
    """A back-off model.

    Attributes:
        orders: for n = 1, 2, ...: n-gram -> (log10 probability of its last word after the others, log10 back-off
            weight of the n-gram as a context).
        units: what its words are: "word", "char" or "bpe".
    """

    orders: tuple[dict[Gram, tuple[float, float]], ...]
    units: str = "word"

    @property
    def order(self) -> int:
        """The longest n-gram's length."""
        return len(self.orders)

    @property
    def vocabulary(self) -> frozenset[str]:
        """Its words, without <s>, </s> and <unk>."""
        return frozenset(gram[0] for gram in self.orders[0]) - SPECIAL

    def unigram_sum(self) -> float:
        """Return the sum of the probabilities of single words and </s>; 1 in a sound model."""
        return float(sum(10.0**prob for gram, (prob, _) in self.orders[0].items() if gram != (BOS,)))

    def __contains__(self, word: object) -> bool:
        return (word,) in self.orders[0] and word not in SPECIAL

    def log10_prob(self, word: str, context: Sequence[str]) -> float:
        """Return the log10 probability of a word (or </s>) after others.

        Args:
            word: one unknown to the model counts as <unk>.
            context: what stands before it, from <s> on; only the last ``order`` - 1 matter.
        """
        unigrams = self.orders[0]
        known = tuple(w if (w,) in unigrams else UNK for w in (*context[-self.order + 1 :], word))
        gram = known[-self.order :]
        weight = 0.0
        while len(gram) > 1:
            found = self.orders[len(gram) - 1].get(gram)
            if found:
                return weight + found[0]
            weight += self.orders[len(gram) - 2].get(gram[:-1], (0.0, 0.0))[1]
            gram = gram[1:]
        return weight + (unigrams[gram][0] if gram in unigrams else NO_UNK)

    def log10_probs(self, words: Sequence[str]) -> list[float]:
        """Return the log10 probability of each word of a sentence and of its end, each after all before it."""
        sentence = (BOS, *words, EOS)
        return [self.log10_prob(sentence[i], sentence[:i]) for i in range(1, len(sentence))]


@dataclass(frozen=True)
class Perplexity:
    """How well a model predicts a text.

    Attributes:
        sentences: lines; the end of each is predicted too.
        words: of the text.
        unknown: words that the model does not have.
        log10_prob: of everything.
        log10_prob_unknown: the part of the unknown words.
    """

    sentences: int
    words: int
    unknown: int
    log10_prob: float
    log10_prob_unknown: float

    @property
    def including_unknown(self) -> float:
        """Perplexity over words and ends of sentences, unknown words with the probability of <unk>."""
        return float(10.0 ** (-self.log10_prob / (self.words + self.sentences)))

    @property
    def excluding_unknown(self) -> float:
        """Perplexity over known words and ends of sentences."""
        known = self.words - self.unknown + self.sentences
        return float(10.0 ** ((self.log10_prob_unknown - self.log10_prob) / known))

    @property
    def unknown_rate(self) -> float:
        """Share of the words that the model does not have."""
        return self.unknown / self.words if self.words else 0.0


def perplexity(model: NgramModel, sentences: Iterable[Sequence[str]]) -> Perplexity:
    """Let a model predict a text.

    Args:
        model: the model.
        sentences: each line's words, in the model's units.
    """
    lines = words = unknown = 0
    total = total_unknown = 0.0
    for sentence in sentences:
        scores = model.log10_probs(sentence)
        missed = [score for word, score in zip(sentence, scores, strict=False) if word not in model]
        lines, words, unknown = lines + 1, words + len(sentence), unknown + len(missed)
        total, total_unknown = total + sum(scores), total_unknown + sum(missed)
    return Perplexity(lines, words, unknown, total, total_unknown)
