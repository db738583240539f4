"""Texts of a quarter of a megabyte that would take minutes or hours: read soon, or refused by name."""

from __future__ import annotations

import json
import random
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asr_ligru import cli
from asr_ligru.config import TokensConfig
from asr_ligru.data.manifest import read_manifest, scan_manifest
from asr_ligru.data.validate import validate_corpus
from asr_ligru.errors import DataError
from asr_ligru.safety import composed, csv_cell, csv_text, json_text, printable
from asr_ligru.score.wer import score
from asr_ligru.text.normalize import PROFILES, normalize
from asr_ligru.text.tokenizer import build_tokenizer

LENGTH = 1 << 18
MARKS = "\u0301\u0323"  # which change places when they are put in order
LINE = {"id": "a", "audio_filepath": "a.wav", "duration": 0.5, "text": "A"}

LONG: dict[str, str] = {
    "marks on one letter": "a" + MARKS * (LENGTH // 5),
    "marks on nothing": "\u0323\u0301" * (LENGTH // 5),
    "one word": "a" * LENGTH,
    "letters of Hangul apart": "\u1112\u1161\u11ab" * (LENGTH // 9),
    "apostrophes": "'" * LENGTH,
    "words with apostrophes": "a'" * (LENGTH // 2),
    "blanks": " " * LENGTH,
    "no-break spaces": "\u00a0" * (LENGTH // 2),
    "joined emoji": "\U0001f469\u200d" * (LENGTH // 7),
    "punctuation": "=-!" * (LENGTH // 3),
}


@contextmanager
def seconds_of_cpu(limit: float) -> Iterator[None]:
    started = time.process_time()  # of the processor, not by the clock; what grows with the square takes minutes
    yield
    assert time.process_time() - started < limit


@pytest.mark.parametrize("name", LONG)
def test_long_text_is_normalised_and_made_safe_soon(name: str) -> None:
    text = LONG[name]
    with seconds_of_cpu(4):
        spelled = {profile: normalize(text, profile) for profile in PROFILES}
        assert csv_text(csv_cell(text)) == text
        assert json.loads(json_text(text)) == text
        printable(text)
    assert len(spelled["none"]) <= len(text)


def test_composed_of_random_marks_is_what_unicodedata_makes_of_them() -> None:
    draw = random.Random(7)
    marks = [chr(code) for code in range(0x110000) if unicodedata.combining(chr(code))]
    others = [*"aeo \u00e9\u1100\u1161\u11a8\u212b", *(chr(code) for code in range(0xC0, 0x250))]
    for _ in range(500):
        text = "".join(draw.choice(draw.choice((marks, marks, others))) for _ in range(draw.randint(1, 40)))
        assert composed(text) == unicodedata.normalize("NFC", text)


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_long_text_in_a_manifest_is_validated_soon(tmp_path: Path) -> None:
    text = LONG["marks on one letter"][:LENGTH]
    write(tmp_path / "train.jsonl", json.dumps({**LINE, "text": text}, ensure_ascii=False))
    with seconds_of_cpu(5):
        counts = validate_corpus(tmp_path).counts
    assert {kind for kind, count in counts.items() if count} == {"missing", "characters", "too many letters"}


def test_manifest_line_of_a_hundred_thousand_keys_is_refused_soon(tmp_path: Path) -> None:
    keys = ", ".join(f'"{number}": 1' for number in (*range(70_000), 69_999))
    with seconds_of_cpu(2), pytest.raises(DataError, match="duplicate key '69999'"):
        read_manifest(write(tmp_path / "m.jsonl", f"{{{keys}}}"))


def test_manifest_whose_lines_are_all_wrong_and_long_fills_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.dumps({**LINE, "id": "\x1b" * 100_000})
    path = write(tmp_path / "m.jsonl", *[line] * 20)
    assert len(scan_manifest(path)[1]) == 19
    assert cli.main(["score", str(path), str(path)]) == 3
    assert len(capsys.readouterr().err) < 500_000


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_tokenizer_of_a_word_of_a_hundred_thousand_letters_spells_it_soon(kind: str) -> None:
    texts = ["ab cd", "a" * 100_000]
    with seconds_of_cpu(10):
        tokenizer = build_tokenizer(TokensConfig(name=kind, vocab_size=8), texts)
        assert tokenizer.decode(tokenizer.encode(texts[1])) == texts[1]


def of_letters(seed: int, count: int) -> str:
    return "".join(random.Random(seed).choices("abcdefgh", k=count))


def test_score_of_a_long_word_is_counted_and_of_an_endless_one_refused_by_name() -> None:
    one, other = of_letters(1, 50_000), of_letters(2, 50_000)
    with seconds_of_cpu(10):
        assert score({"u": one}, {"u": other}).words.errors == 1
    with seconds_of_cpu(2), pytest.raises(DataError, match="2000000 characters, at most 1000000") as caught:
        score({"a": "x", "u": "y"}, {"a": "x", "u": "a" * 2_000_000})
    assert caught.value.where == "u"


@pytest.mark.slow
def test_score_of_a_word_of_a_million_letters_ends() -> None:
    with seconds_of_cpu(300):
        assert score({"u": of_letters(1, 1_000_000)}, {"u": of_letters(2, 1_000_000)}).words.errors == 1


BROKEN: dict[str, Callable[[], str]] = {
    "half of a surrogate pair": lambda: "A\ud800B",
    "the other half": lambda: "\udfffB",
    "both halves in the wrong order": lambda: "\udc00\ud800",
}


@pytest.mark.parametrize("name", BROKEN)
def test_halves_of_surrogate_pairs_are_refused_with_their_place(name: str, tmp_path: Path) -> None:
    text = BROKEN[name]()
    with pytest.raises(DataError, match="lone surrogate"):
        normalize(text)
    with pytest.raises(DataError, match="half of a surrogate pair at position"):
        read_manifest(write(tmp_path / "m.jsonl", json.dumps({**LINE, "text": text})))
