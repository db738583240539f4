"""Tokenizers: transcripts to target ids and back. Id 0 is the CTC blank and is never a target.

``char`` and ``word`` (module ``units``) take their inventory from the training text, ``phone`` (module ``phones``) from
a lexicon, ``bpe`` is a SentencePiece model trained on the training text. A saved tokenizer is ``tokenizer.json`` and,
for ``bpe``, ``spm.model``, for ``phone``, ``lexicon.txt``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import sentencepiece

from asr_ligru.config import TokensConfig
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.safety import printable
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.phones import PhoneTokenizer
from asr_ligru.text.units import (
    BLANK,
    TOKENIZERS,
    UNK,
    CharTokenizer,
    Encoded,
    Spelled,
    Tokenizer,
    WordTokenizer,
    words_of,
)

__all__ = [
    "BpeTokenizer",
    "CharTokenizer",
    "Encoded",
    "PhoneTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "build_tokenizer",
]

_MAX_MODEL_BYTES = 16 << 20
_SPACE = "\u2581"  # how SentencePiece writes the beginning of a word


def build_tokenizer(config: TokensConfig, texts: Iterable[str], lexicon: Lexicon | None = None) -> Tokenizer:
    """Make a tokenizer from the normalised transcripts of the training set.

    Args:
        config: which kind, and what to do with unknown characters or words.
        texts: the transcripts; the same texts in any order give the same tokenizer.
        lexicon: the pronunciations; needed by ``phone`` only.

    Raises:
        ConfigError: ``phone`` without a lexicon, or a ``vocab_size`` that this text cannot give.
        DataError: no words in the texts.
    """
    return TOKENIZERS[config.name].build(config, texts, lexicon)


@TOKENIZERS.register("bpe")
class BpeTokenizer(Tokenizer):
    """Byte-pair encoding by SentencePiece; the text is taken as it is, without a normalisation of its own.

    Args:
        model: a serialised SentencePiece model whose ids 0 and 1 are the blank and UNK.
        unknown: what to do with a character that the training text did not have.

    Raises:
        DataError: ``model`` is not such a model.

    Source: Sennrich, Haddow and Birch 2016; Kudo and Richardson 2018.
    """

    kind = "bpe"

    def __init__(self, model: bytes, unknown: str) -> None:
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            tokens = [self._processor.id_to_piece(i) for i in range(self._processor.get_piece_size())]
        except RuntimeError as error:
            raise DataError("not a SentencePiece model") from error
        if tokens[:2] != [BLANK, UNK]:
            raise DataError("not a SentencePiece model of this toolkit: ids 0 and 1 are not the blank and <unk>")
        super().__init__(tokens, unknown)
        self._model = model
        self._known = {token for token in tokens if len(token) == 1 and token != _SPACE} | {" "}

    def unknown_in(self, text: str) -> list[str]:
        """Return the characters the training text did not have, in order, with repeats."""
        return [char for char in text if char not in self._known]

    def _encode(self, text: str) -> list[int]:
        if self.unknown != "unk":
            text = "".join(char for char in text if char in self._known)
        ids: list[int] = self._processor.encode(text)
        return ids

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """Join the pieces up to the next one that begins a word."""
        tokens = [self.tokens[i] for i in ids]
        starts = [n for n, token in enumerate(tokens) if n == 0 or token.startswith(_SPACE)]
        found = [
            Spelled("".join(tokens[start:end]).replace(_SPACE, ""), start, end)
            for start, end in pairwise([*starts, len(tokens)])
        ]
        return [word for word in found if word.text]

    def files(self) -> dict[str, bytes]:
        """Return tokenizer.json, whose tokens are for people to read, and spm.model."""
        return {**super().files(), "spm.model": self._model}

    @classmethod
    def build(cls, config: TokensConfig, texts: Iterable[str], lexicon: Lexicon | None) -> Tokenizer:
        """Train ``config.vocab_size`` pieces on the texts; the same texts give the same model."""
        return cls(_train_bpe(sorted(texts), config.vocab_size), config.unknown)

    @classmethod
    def _restore(cls, folder: Path, tokens: list[str], unknown: str) -> Tokenizer:
        path = folder / "spm.model"
        if not path.is_file() or path.stat().st_size > _MAX_MODEL_BYTES:
            raise DataError("no SentencePiece model, or a giant one", where=printable(str(path)))
        tokenizer = cls(path.read_bytes(), unknown)
        if list(tokenizer.tokens) != tokens:
            raise DataError("tokenizer.json and spm.model have different tokens", where=printable(str(folder)))
        return tokenizer


def _train_bpe(texts: list[str], vocab_size: int) -> bytes:
    """Return a serialised BPE model; the same texts give the same bytes."""
    if not any(words_of(text) for text in texts):
        raise DataError("no words in the training transcripts to train BPE on")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=max(4192, *(len(text.encode()) + 1 for text in texts)),  # else left out, silently
            num_threads=1,
            pad_id=0,
            pad_piece=BLANK,
            unk_id=1,
            unk_piece=UNK,
            unk_surface=UNK,
            bos_id=-1,
            eos_id=-1,
            minloglevel=3,
        )
    except RuntimeError as error:
        reason = str(error).rpartition("] ")[2] or str(error)
        raise ConfigError(
            f"BPE of {vocab_size} tokens cannot be trained on this text: {printable(reason)}",
            where="tokens.vocab_size",
            fix="set tokens.vocab_size between the number of characters and what the message allows",
        ) from error
    return model.getvalue()
