"""Phones as output units: words to phones through a lexicon, and back where the lexicon allows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr_ligru.config import TokensConfig
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.safety import printable
from asr_ligru.text.lexicon import Lexicon, Pronunciation
from asr_ligru.text.units import TOKENIZERS, UNK, Spelled, Tokenizer, head_tokens, words_of

BOUNDARY = "|"  # the token between the phones of two words


@TOKENIZERS.register("phone")
class PhoneTokenizer(Tokenizer):
    """The phones of each word's first pronunciation, with a boundary token between words.

    The boundary lets a greedy decoder give words back. A stretch between boundaries that is a pronunciation becomes
    its word; of homophones, the one most frequent in the training text. Any other stretch is cut into words from
    the left, each time the longest that fits; where that fails it stays as phones joined by hyphens, which is scored as
    a wrong word. Better word sequences need a decoder with a lexicon and a language model.

    Args:
        tokens: the blank, UNK if used, the boundary, the phones.
        unknown: what to do with a word that has no pronunciation; "unk" gives it the single id of UNK.
        lexicon: words in order of preference among homophones.
    """

    kind = "phone"
    item = "word"

    def __init__(self, tokens: Sequence[str], unknown: str, lexicon: Lexicon) -> None:
        super().__init__(tokens, unknown)
        self.lexicon = lexicon
        first = len(head_tokens(unknown))
        self._table = {token: i for i, token in enumerate(self.tokens) if i >= first}
        self._words: dict[Pronunciation, str] = {}
        for word, phones in lexicon:
            self._words.setdefault(phones, word)
        self._longest = max((len(phones) for phones in self._words), default=0)

    def unknown_in(self, text: str) -> list[str]:
        """Return the words without a pronunciation, in order, with repeats."""
        return [word for word in words_of(text) if word not in self.lexicon]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in words_of(text):
            if word in self.lexicon or self.unknown == "unk":
                ids += [self._table[BOUNDARY]] if ids else []
                ids += [self._table[p] for p in self.lexicon.pronunciations(word)[0]] if word in self.lexicon else [1]
        return ids

    def decode_phones(self, ids: Sequence[int]) -> str:
        """Return the phones, separated by single spaces, boundaries left out."""
        return " ".join(self.tokens[i] for i in ids if self.tokens[i] != BOUNDARY)

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """Return the words of the stretches between boundaries, as the class describes."""
        first = 0
        words: list[Spelled] = []
        tokens = [self.tokens[i] for i in ids]
        for n, token in enumerate((*tokens, BOUNDARY)):
            if token == BOUNDARY:
                words += [
                    Spelled(text, first + start, first + end)
                    for text, start, end in self._segment(tuple(tokens[first:n]))
                ]
                first = n + 1
        return words

    def _segment(self, phones: Pronunciation) -> list[Spelled]:
        words: list[Spelled] = []
        start = 0
        while start < len(phones):
            ends = range(min(len(phones), start + self._longest), start, -1)
            end = next((e for e in ends if phones[start:e] in self._words), None)
            if end is None:
                return [Spelled(UNK if phones == (UNK,) else "-".join(phones), 0, len(phones))]
            words.append(Spelled(self._words[phones[start:end]], start, end))
            start = end
        return words

    def files(self) -> dict[str, bytes]:
        """Return tokenizer.json and lexicon.txt."""
        return {**super().files(), "lexicon.txt": self.lexicon.text().encode()}

    @classmethod
    def build(cls, config: TokensConfig, texts: Iterable[str], lexicon: Lexicon | None) -> Tokenizer:
        """Take the phones from the lexicon and the preference among homophones from the texts."""
        if lexicon is None:
            raise ConfigError(
                "tokens=phone needs a pronunciation lexicon",
                fix="put lexicon.txt beside the manifests of the corpus, or use tokens=char",
            )
        reserved = [phone for phone in lexicon.phones if phone in (BOUNDARY, UNK)]
        if reserved:
            raise DataError(f"the lexicon has a phone called '{printable(reserved[0])}'", fix="rename the phone")
        return cls(
            (*head_tokens(config.unknown), BOUNDARY, *lexicon.phones), config.unknown, _by_frequency(lexicon, texts)
        )

    @classmethod
    def _restore(cls, folder: Path, tokens: list[str], unknown: str) -> Tokenizer:
        lexicon = Lexicon.read(folder / "lexicon.txt")
        if tokens != [*head_tokens(unknown), BOUNDARY, *lexicon.phones]:
            raise DataError("tokenizer.json and lexicon.txt have different phones", where=printable(str(folder)))
        return cls(tokens, unknown, lexicon)


def _by_frequency(lexicon: Lexicon, texts: Iterable[str]) -> Lexicon:
    """Return the lexicon with words frequent in ``texts`` first, else in the order they had."""
    counts = Counter(word for text in texts for word in words_of(text))
    words = sorted(dict.fromkeys(word for word, _ in lexicon), key=lambda word: -counts[word])
    return Lexicon({word: lexicon.pronunciations(word) for word in words})
