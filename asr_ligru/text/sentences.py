"""Sentences for language models: the words of text files and manifests, whole or spelled in smaller units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from asr_ligru.data.manifest import read_manifest
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.safety import printable
from asr_ligru.text.normalize import normalize
from asr_ligru.text.units import Tokenizer, words_of

WORD_START = "\u2581"  # stands before the first letter of each word
_MAX_LINE_BYTES = 1 << 20

Speller = Callable[[str], Sequence[str]]


def read_sentences(path: Path, profile: str = "none") -> Iterator[list[str]]:
    """Yield the words of each line that has any.

    Args:
        path: a manifest (its name ends in .jsonl), whose texts are taken, or plain UTF-8 text.
        profile: how texts are normalised, as ``corpus.normalize``.

    Raises:
        DataError: absent, a line that is not UTF-8, longer than 1 MB or with a control character; named by its number.
    """
    if path.suffix == ".jsonl":
        texts: Iterator[str] = (utterance.text for utterance in read_manifest(path))
    else:
        texts = _plain(path)
    for text in texts:
        if words := words_of(normalize(text, profile)):
            yield words


def _plain(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b""), start=1):
                problem, text = _line(raw, first=number == 1)
                if problem:
                    raise DataError(f"line {number}: {problem}", where=printable(str(path)), fix="correct this line")
                yield text
    except OSError as error:
        fix = "name manifests (.jsonl) or plain text files"
        raise DataError(f"cannot read text: {error.strerror}", where=printable(str(path)), fix=fix) from error


def _line(raw: bytes, first: bool) -> tuple[str, str]:
    """Return (what is wrong or "", the text)."""
    if len(raw) > _MAX_LINE_BYTES:
        return f"longer than {_MAX_LINE_BYTES} bytes", ""
    try:
        text = " ".join(raw.decode("utf-8-sig" if first else "utf-8").split())
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start + 1}", ""
    return (f"a control character in '{printable(text[:60])}'" if printable(text) != text else ""), text


def speller(units: str, tokenizer: Tokenizer | None = None) -> Speller:
    """Return what turns a word into the units of a language model.

    Args:
        units: "word", "char" or "bpe".
        tokenizer: whose pieces they are; needed by "bpe".

    Raises:
        ConfigError: "bpe" without a BPE tokenizer.
    """
    if units == "word":
        return lambda word: (word,)
    if units == "char":
        return lambda word: (WORD_START, *word)
    if tokenizer is None or tokenizer.kind != "bpe":
        raise ConfigError(
            f"BPE needs a model with such a tokenizer, got {tokenizer.kind if tokenizer else 'none'}",
            fix="name a model that was trained with tokens=bpe: --model MODEL",
        )
    return lambda word: [tokenizer.tokens[i] for i in tokenizer.encode(word)]


def spell(words: Sequence[str], speller: Speller) -> list[str]:
    """Return the units of a sentence."""
    return [unit for word in words for unit in speller(word)]
