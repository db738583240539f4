"""Texts for language models: lines, manifests, units."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.config import TokensConfig
from asr_ligru.data.manifest import write_manifest
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.text.sentences import read_sentences, spell, speller
from asr_ligru.text.tokenizer import build_tokenizer
from asr_ligru.typing import Utterance


def test_read_sentences_plain_text_is_split_and_normalised(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("\ufeffOne,  two\r\n\n \t\nÉté\tx".encode())
    assert list(read_sentences(tmp_path / "x.txt")) == [["One,", "two"], ["Été", "x"]]
    assert list(read_sentences(tmp_path / "x.txt", "lower-nopunct")) == [["one", "two"], ["été", "x"]]


def test_read_sentences_manifest_gives_its_texts(tmp_path: Path) -> None:
    texts = ("one two", "", "three")
    write_manifest(tmp_path / "m.jsonl", [Utterance(t or "-", tmp_path / "a.wav", 1.0, t) for t in texts])
    assert list(read_sentences(tmp_path / "m.jsonl")) == [["one", "two"], ["three"]]


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"a\nb \xff", "line 2: not UTF-8 at byte 3"),
        (b"a\x1b[2J", "line 1: a control character"),
        (b"a" * ((1 << 20) + 1), "line 1: longer than"),
    ],
)
def test_read_sentences_damaged_line_is_named(tmp_path: Path, content: bytes, finding: str) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(DataError, match=finding):
        list(read_sentences(tmp_path / "x.txt"))
    with pytest.raises(DataError, match="cannot read text: No such file"):
        list(read_sentences(tmp_path / "none.txt"))


def test_spell_each_unit_marks_where_words_begin() -> None:
    words = ["ab", "abc"]
    bpe = build_tokenizer(TokensConfig(name="bpe", vocab_size=8), ["ab abc"])
    assert spell(words, speller("word")) == words
    assert spell(words, speller("char")) == ["▁", "a", "b", "▁", "a", "b", "c"]
    assert "".join(spell(words, speller("bpe", bpe))) == "▁ab▁abc"
    with pytest.raises(ConfigError, match="BPE needs a model with such a tokenizer, got char"):
        speller("bpe", build_tokenizer(TokensConfig(), ["ab"]))
