"""Drawing of tables, and what untrusted cells may not do to them."""

from __future__ import annotations

import csv
import io
import random

import pytest

from asr_ligru.safety import csv_text, printable
from asr_ligru.score.tables import Table, csv_records, display_width, latex, markdown, pad, terminal

PAYLOADS = [
    "\x1b[2J\x1b[31mred",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;aGk=\x07",
    "\x9b31m",
    "a\rb",
    "a\nb | c",
    "\u202eabc",
    "a\u2028b",
    "\x00",
    "\x7f",
    "| x | y |",
    "<script>alert(1)</script>",
    "[x](javascript:y)",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    " =1",
    "\t=1",
    "\uff1d1",
    "'=1",
    '"quoted", and comma',
    r"\input{/etc/passwd}",
    "100 % & $x_1^2$ #~{}",
]


def test_terminal_aligns_by_display_width() -> None:
    table = Table(("cell", "WER"), (("\u65e5\u672c", "7.5"), ("e\u0301a", "12.25")), frozenset({"WER"}))
    assert terminal(table).split("\n") == [
        "cell    WER",
        "----  -----",
        "\u65e5\u672c    7.5",
        "e\u0301a    12.25",
    ]


def test_terminal_best_row_is_bold_only_in_color() -> None:
    table = Table(("a",), (("x",), ("y",)), best=0)
    assert "\x1b" not in terminal(table)
    assert terminal(table, color=True).split("\n")[2] == "\x1b[1mx\x1b[0m"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_terminal_payload_stays_inert_on_one_line(payload: str) -> None:
    drawn = terminal(Table(("a", "b"), ((payload, "end"),)))
    assert len(drawn.splitlines()) == 3
    assert all(c.isprintable() or c == "\n" for c in drawn)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markdown_payload_stays_in_its_cell(payload: str) -> None:
    for code in (frozenset[str](), frozenset({"a"})):
        row = markdown(Table(("a", "b"), ((payload, "end"),), code=code)).splitlines()[2]
        cells = row.replace("\\\\", "").replace("\\|", "").split("|")
        assert len(cells) == 4  # before, a, b, after
        assert cells[2] == " end "
        if not code:
            assert "<" not in row.replace("\\<", "")
            assert "[" not in row.replace("\\[", "")


def test_markdown_code_holds_backticks() -> None:
    row = markdown(Table(("a",), (("x `` y",),), code=frozenset({"a"}))).splitlines()[2]
    assert row == "| ``` x `` y ``` |"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_latex_payload_is_typeset_literally(payload: str) -> None:
    row = latex(Table(("a", "b"), ((payload, "end"),))).split("\n")[4]
    bare = row.replace(r"\textbackslash{}", "").removesuffix(r" \\")
    for command in (r"\textasciitilde{}", r"\textasciicircum{}", r"\textless{}", r"\textgreater{}"):
        bare = bare.replace(command, "")
    for char in "&%$#_{}":
        bare = bare.replace(f"\\{char}", "")
    assert bare.count("&") == 1
    assert not set("\\%$#_{}~^") & set(bare)


def test_csv_payloads_start_no_formula_and_come_back() -> None:
    rng = random.Random(3)
    texts = PAYLOADS + ["".join(rng.choices("=+-@ '\t\r\n,\"a1\u00e9", k=rng.randint(0, 6))) for _ in range(300)]
    rows = list(csv.reader(io.StringIO(csv_records([{"text": text} for text in texts]), newline="")))[1:]
    for (cell,), text in zip(rows, texts, strict=True):
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\0", "\uff1d"))
        assert csv_text(cell) == printable(text)


def test_csv_numbers_stay_numbers_and_columns_are_united() -> None:
    assert csv_records([{"a": -0.5, "b": None}, {"a": 1, "c": "x"}]) == "a,b,c\r\n-0.5,,\r\n1,,x\r\n"


def test_pad_fills_both_sides() -> None:
    assert (pad("ab", 4), pad("ab", 4, right=True)) == ("ab  ", "  ab")
    assert display_width("\u65e5a\u0301") == 3
