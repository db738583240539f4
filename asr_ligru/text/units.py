"""What every tokenizer has in common, and the two with a plain inventory: characters and words."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar, NamedTuple

from asr_ligru.config import TokensConfig
from asr_ligru.errors import DataError
from asr_ligru.registry import Registry
from asr_ligru.safety import atomic_write, printable, read_json
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.targets import check_targets
from asr_ligru.typing import Utterance

BLANK = "<blank>"
BLANK_ID = 0
UNK = "<unk>"
_FORMAT = 1
_MAX_JSON_BYTES = 16 << 20
_MAX_SHOWN = 50


@dataclass(frozen=True)
class Encoded:
    """The targets of many utterances.

    Attributes:
        tokens: utt_id -> target ids; may be empty lists.
        unknown: each unknown character or word -> how often it was dropped or replaced.
    """

    tokens: dict[str, list[int]]
    unknown: Counter[str]


class Spelled(NamedTuple):
    """A word and where the ids that spell it stand in a sequence: from ``start`` to before ``end``."""

    text: str
    start: int
    end: int


class Tokenizer(ABC):
    """Turns words into target ids and ids into words.

    Args:
        tokens: the token of each id; ``tokens[0]`` is the blank.
        unknown: what to do with a character or word outside of the inventory: "error", "drop" or "unk".

    Attributes:
        kind: its name in a configuration.
        item: what an unknown thing is called in messages.
    """

    kind: ClassVar[str]
    item: ClassVar[str] = "character"

    def __init__(self, tokens: Sequence[str], unknown: str) -> None:
        self.tokens = tuple(tokens)
        self.unknown = unknown

    @property
    def vocab_size(self) -> int:
        """The number of ids, the blank included."""
        return len(self.tokens)

    @abstractmethod
    def unknown_in(self, text: str) -> list[str]:
        """Return the characters or words of ``text`` that have no id, in order, with repeats."""

    @abstractmethod
    def _encode(self, text: str) -> list[int]:
        """Return the ids; what is unknown is dropped or becomes UNK."""

    @abstractmethod
    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """Return the words that ids spell after CTC collapsing (no blanks), in order."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the same words as a text, separated by single spaces."""
        return " ".join(word.text for word in self.words(ids))

    def encode(self, text: str) -> list[int]:
        """Return the target ids of one normalised transcript, each in [1, vocab_size).

        Raises:
            DataError: something unknown is in it and ``unknown`` is "error".
        """
        unknown = self.unknown_in(text)
        if unknown and self.unknown == "error":
            raise self._unknown_error(Counter(unknown), {})
        return self._encode(text)

    def encode_all(self, utterances: Iterable[Utterance]) -> Encoded:
        """Encode many transcripts; nothing unknown is met without being counted.

        Raises:
            DataError: ``unknown`` is "error" and there is any: one message with all of them, their counts and three
                utterances each.
        """
        encoded = Encoded({}, Counter())
        examples: dict[str, list[str]] = {}
        for utterance in utterances:
            for item in self.unknown_in(utterance.text):
                encoded.unknown[item] += 1
                seen = examples.setdefault(item, [])
                if len(seen) < 3 and utterance.utt_id not in seen:
                    seen.append(utterance.utt_id)
            ids = self._encode(utterance.text)
            check_targets(utterance.utt_id, ids, self.vocab_size)
            encoded.tokens[utterance.utt_id] = ids
        if encoded.unknown and self.unknown == "error":
            raise self._unknown_error(encoded.unknown, examples)
        return encoded

    def _unknown_error(self, counts: Counter[str], examples: dict[str, list[str]]) -> DataError:
        listed = [
            f"'{printable(item)}' x {count}" + (f" ({', '.join(map(printable, examples[item]))})" if examples else "")
            for item, count in counts.most_common(_MAX_SHOWN)
        ]
        more = f"; and {len(counts) - _MAX_SHOWN} more" if len(counts) > _MAX_SHOWN else ""
        return DataError(
            f"{len(counts)} unknown {self.item}{'s' if len(counts) > 1 else ''}: {'; '.join(listed)}{more}",
            fix="correct the transcripts, choose a text profile (corpus.normalize), or set tokens.unknown=drop or unk",
        )

    def files(self) -> dict[str, bytes]:
        """Return the content of each file that ``load`` needs, by name."""
        head = {"format": _FORMAT, "kind": self.kind, "unknown": self.unknown, "tokens": self.tokens}
        return {"tokenizer.json": json.dumps(head, indent=1).encode()}

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into an existing folder."""
        for name, content in self.files().items():
            atomic_write(folder / name, content)

    @staticmethod
    def load(folder: Path) -> Tokenizer:
        """Read what ``save`` wrote. Runs no code from the files.

        Raises:
            DataError: a file is missing, damaged, or of a newer format.
        """
        path = folder / "tokenizer.json"
        head = read_json(path, _MAX_JSON_BYTES)
        if not isinstance(head, dict) or head.get("kind") not in TOKENIZERS or head.get("format") != _FORMAT:
            raise DataError(f"not a tokenizer of format {_FORMAT}", where=printable(str(path)))
        unknown, tokens = head.get("unknown"), head.get("tokens", [])
        if unknown not in ("error", "drop", "unk") or not isinstance(tokens, list):
            raise DataError("damaged tokenizer", where=printable(str(path)))
        if not all(isinstance(token, str) and token for token in tokens) or (tokens and tokens[0] != BLANK):
            raise DataError("damaged list of tokens", where=printable(str(path)))
        return TOKENIZERS[head["kind"]]._restore(folder, tokens, unknown)

    @classmethod
    @abstractmethod
    def build(cls, config: TokensConfig, texts: Iterable[str], lexicon: Lexicon | None) -> Tokenizer:
        """Make the tokenizer a configuration asks for; see ``tokenizer.build_tokenizer``."""

    @classmethod
    @abstractmethod
    def _restore(cls, folder: Path, tokens: list[str], unknown: str) -> Tokenizer:
        """Make the tokenizer that was saved in ``folder``; see ``load``."""


TOKENIZERS: Registry[type[Tokenizer]] = Registry("tokenizer")


def words_of(text: str) -> list[str]:
    """Return the words of a transcript; only U+0020 separates them."""
    return [word for word in text.split(" ") if word]


def head_tokens(unknown: str) -> tuple[str, ...]:
    """Return the tokens before the inventory: the blank, and UNK where it is used."""
    return (BLANK, UNK) if unknown == "unk" else (BLANK,)


class TableTokenizer(Tokenizer):
    """A tokenizer whose inventory is a list of characters, words or phones."""

    def __init__(self, tokens: Sequence[str], unknown: str) -> None:
        super().__init__(tokens, unknown)
        first = len(head_tokens(unknown))
        self._table = {token: i for i, token in enumerate(self.tokens) if i >= first}

    @abstractmethod
    def _items(self, text: str) -> list[str]:
        """Split a transcript into what has, or should have, one id."""

    def unknown_in(self, text: str) -> list[str]:
        """Return the items outside of the inventory, in order, with repeats."""
        return [item for item in self._items(text) if item not in self._table]

    def _encode(self, text: str) -> list[int]:
        if self.unknown == "unk":
            return [self._table.get(item, 1) for item in self._items(text)]
        return [self._table[item] for item in self._items(text) if item in self._table]

    @classmethod
    def build(cls, config: TokensConfig, texts: Iterable[str], lexicon: Lexicon | None) -> Tokenizer:
        """Take the sorted inventory of the texts."""
        empty = cls((BLANK,), config.unknown)
        inventory = sorted({item for text in texts for item in empty._items(text)})
        if not inventory:
            raise DataError("no words in the training transcripts to take an inventory from")
        return cls((*head_tokens(config.unknown), *inventory), config.unknown)

    @classmethod
    def _restore(cls, folder: Path, tokens: list[str], unknown: str) -> Tokenizer:
        return cls(tokens, unknown)


@TOKENIZERS.register("char")
class CharTokenizer(TableTokenizer):
    """One id for each Unicode code point; the space between words is one of them."""

    kind = "char"

    def _items(self, text: str) -> list[str]:
        return list(" ".join(words_of(text)))

    def _encode(self, text: str) -> list[int]:
        if self.unknown != "unk":  # first, so that no two spaces meet where a word of unknown characters was
            text = "".join(char for char in text if char in self._table)
        return super()._encode(text)

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """Join the characters between spaces; repeated, leading and trailing spaces fall away."""
        tokens = [self.tokens[i] for i in ids]
        stretches = (list(stretch) for _, stretch in groupby(range(len(tokens)), key=lambda n: tokens[n] == " "))
        found = (Spelled("".join(tokens[s[0] : s[-1] + 1]), s[0], s[-1] + 1) for s in stretches)
        return [word for word in found if tokens[word.start] != " "]


@TOKENIZERS.register("word")
class WordTokenizer(TableTokenizer):
    """One id for each word of the training text; for small closed vocabularies."""

    kind = "word"
    item = "word"

    def _items(self, text: str) -> list[str]:
        return words_of(text)

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """Return the word of each id."""
        return [Spelled(self.tokens[i], n, n + 1) for n, i in enumerate(ids)]
