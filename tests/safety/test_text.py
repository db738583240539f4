"""Whatever a transcript, id or path holds, the terminal and the spreadsheet see only text."""

from __future__ import annotations

import csv
import io
import json
import random
import unicodedata

import pytest

from asr_ligru.safety import csv_cell, csv_text, json_text, printable

ATTACKS = (
    "\x1b[2J",
    "\x1b]8;;http://x\x07",
    "\x1b]52;c;aGk=\x07",
    "\x1bPq\x1b\\",
    "\x07",
    "\r",
    "\u202e",
    "\u2066",
    "\x9b",
    "\n",
)
BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # Unicode Standard Annex 9, table 4
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def is_harmful(char: str) -> bool:
    """Judge one character by the Unicode database."""
    separators = char in "\u2028\u2029"
    return unicodedata.category(char) in ("Cc", "Cs") or unicodedata.bidirectional(char) in BIDI_CONTROLS or separators


def test_printable_every_harmful_code_point_is_escaped() -> None:
    harmful = [chr(code) for code in range(0x110000) if is_harmful(chr(code))]
    assert len(harmful) > 2048 + 65
    assert all(printable(char).isascii() and printable(char).startswith("\\") for char in harmful)


@pytest.mark.parametrize("text", ["naïve café", "שלום", "مرحبا", "नमस्ते", "日本語", "👩‍👩‍👧", "ǅ ﬁ ½"])
def test_printable_letters_of_any_script_stay(text: str) -> None:
    assert printable(text) == text


def test_printable_500_attacks_leave_nothing_harmful() -> None:
    draw = random.Random(1)
    for _ in range(500):
        text = "".join(draw.choice((*ATTACKS, "word", " ", "é")) for _ in range(draw.randint(1, 12)))
        shown = printable(text)
        assert not any(is_harmful(char) for char in shown)
        assert len(shown.splitlines()) <= 1


def test_printable_escape_names_the_code() -> None:
    assert printable("a\x1b[31m\u202e\ud800\n") == "a\\x1b[31m\\u202e\\ud800\\x0a"


def test_csv_cell_300_payloads_are_harmless_and_round_trip() -> None:
    draw = random.Random(2)
    heads = ("", " ", "  ", "\u00a0", "\u3000", "'", "''", "\u200b")
    tail = "cmd|' /C calc'!A0,\"x\"\n"
    payloads = [draw.choice(heads) + draw.choice(DANGEROUS) + tail for _ in range(300)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([csv_cell(text)] for text in payloads)
    cells = [row[0] for row in csv.reader(io.StringIO(out.getvalue(), newline=""))]
    assert all(cell.startswith("'") for cell in cells)
    assert [csv_text(cell) for cell in cells] == payloads


def test_csv_cell_nul_at_the_beginning_is_disarmed() -> None:
    assert csv_cell("\0=x") == "'\0=x"  # the csv module reads NUL from Python 3.11 on only
    assert csv_text("'\0=x") == "\0=x"


@pytest.mark.parametrize("text", ["", "word", "'quoted'", "'", "5 - 3", "a=b", "''", "é"])
def test_csv_cell_harmless_text_stays_as_it_is(text: str) -> None:
    assert csv_cell(text) == text
    assert csv_text(text) == text


@pytest.mark.parametrize("indent", [None, 1])
def test_json_text_of_any_character_is_harmless_and_comes_back(indent: int | None) -> None:
    every = "".join(map(chr, range(0x3000))) + "\ud800 \udfff\U0001f600é"
    value = {every: [every, 1.5, None, {"a": every}]}
    text = json_text(value, indent)
    assert json.loads(text) == value
    assert not [char for char in text if is_harmful(char) and not (indent and char == "\n")]
    assert len(text.split("\n")) == (1 if indent is None else 10)
    assert "é" in text
