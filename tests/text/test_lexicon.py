"""Lexicons: words, variants and every finding with its line number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asr_ligru.errors import DataError
from asr_ligru.text.lexicon import Lexicon

GOOD = ";;; a comment\nREAD R IY D\nREAD(2) R EH D\n\ncafé\tK AE\tF EY\r\nשלום SH A L O M\nREAD  R AH D \n"


def read(tmp_path: Path, content: str | bytes) -> Lexicon:
    path = tmp_path / "lexicon.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Lexicon.read(path)


def test_read_good_file_gives_words_and_variants(tmp_path: Path) -> None:
    lexicon = read(tmp_path, GOOD)
    assert len(lexicon) == 3
    assert lexicon.pronunciations("READ") == (("R", "IY", "D"), ("R", "EH", "D"), ("R", "AH", "D"))
    assert lexicon.pronunciations("café") == (("K", "AE", "F", "EY"),)
    assert lexicon.phones == ("A", "AE", "AH", "D", "EH", "EY", "F", "IY", "K", "L", "M", "O", "R", "SH")
    assert "שלום" in lexicon
    assert lexicon.missing(["READ", "zoo", "ant", "zoo"]) == ["ant", "zoo"]


def test_text_read_again_is_the_same_lexicon(tmp_path: Path) -> None:
    lexicon = read(tmp_path, GOOD)
    assert list(read(tmp_path, lexicon.text())) == list(lexicon)


def test_read_byte_order_mark_is_not_part_of_a_word(tmp_path: Path) -> None:
    assert "a" in read(tmp_path, b"\xef\xbb\xbfa AH\n")


def test_pronunciations_unknown_word_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pronunciation for 'zoo'"):
        read(tmp_path, GOOD).pronunciations("zoo")


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"a AH\nb\n", "line 2: no phones for 'b'"),
        (b"b   \n", "line 1: no phones"),
        (b"a AH\nb B\na AH\n", "line 3: 'a' has the pronunciation of line 1 again"),
        (b"a AH\na(2) AH\n", "line 2: 'a' has the pronunciation of line 1 again"),
        (b"a AH\0\n", "line 1: a control character"),
        (b"a\x1b[2J AH\n", r"line 1: a control character in 'a\\x1b"),
        ("a\u202e AH\n".encode(), "line 1: a control character"),
        ("a\u2028 AH\n".encode(), "line 1: a control character"),
        (b"a AH\n\xff\xfe B\n", "line 2: not UTF-8 at byte 1"),
        (b"caf\xe9 K\n", "line 1: not UTF-8 at byte 4"),
        (b"a " + b"AH " * 5000, "line 1: longer than 10000 bytes"),
        (b"", "no words in it"),
        (b"\n\n;;; nothing\n", "no words in it"),
    ],
)
def test_read_bad_line_is_found_with_its_number(tmp_path: Path, content: bytes, finding: str) -> None:
    with pytest.raises(DataError, match=finding) as caught:
        read(tmp_path, content)
    assert caught.value.where == str(tmp_path / "lexicon.txt")
    assert str(caught.value).isprintable() or "\x1b" not in str(caught.value)


def test_read_all_findings_are_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a AH\nb\na AH\nc\n" + "d\n" * 60)
    message = caught.value.what
    assert message.startswith("63 wrong lines")
    assert all(f"line {number}: " in message for number in (2, 3, 4, 51))
    assert message.endswith("; and 13 more")


def test_read_missing_file_folder_or_fifo_is_a_data_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "fifo"):
        with pytest.raises(DataError, match="no such lexicon"):
            Lexicon.read(path)


def test_text_of_words_that_end_like_variants_is_read_back_equal(tmp_path: Path) -> None:
    lexicon = Lexicon({"A(2)": [("EY",), ("AH",)], "A": [("EY",)], "(2)": [("T",)]})
    (tmp_path / "lexicon.txt").write_text(lexicon.text(), encoding="utf-8")
    assert list(Lexicon.read(tmp_path / "lexicon.txt")) == list(lexicon)
