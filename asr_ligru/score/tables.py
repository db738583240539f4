"""One table of short texts, drawn for a terminal, Markdown or LaTeX; and records as CSV.

Whatever a cell holds, it can neither drive a terminal, nor break out of its cell, nor start a formula.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asr_ligru.safety import csv_cell, printable

Scalar = str | int | float | bool | None

_BOLD, _RESET = "\x1b[1m", "\x1b[0m"
_MARKDOWN = re.compile(r"([\\`*\[\]<>|~#&]|(?<!\w)_|_(?!\w))")
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Texts in rows and columns.

    Attributes:
        columns: their titles.
        rows: cells, as many as there are columns.
        numeric: titles of the columns that are set flush right.
        code: titles of the columns that hold what a user may type.
        best: index of the row to stress, or None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    best: int | None = None

    def without(self, titles: Iterable[str]) -> Table:
        """Return the table less the columns of these titles."""
        dropped = set(titles)
        keep = [i for i, title in enumerate(self.columns) if title not in dropped]
        rows = tuple(tuple(row[i] for i in keep) for row in self.rows)
        return Table(tuple(self.columns[i] for i in keep), rows, self.numeric, self.code, self.best)


def display_width(text: str) -> int:
    """Return how many terminal columns ``text`` takes: wide letters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def pad(text: str, width: int, right: bool = False) -> str:
    """Return ``text`` filled with blanks to ``width`` terminal columns."""
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def terminal(table: Table, color: bool = False) -> str:
    """Return the table aligned with blanks, a rule below its titles; the best row in bold where ``color``."""
    rows = [table.columns, *([printable(cell) for cell in row] for row in table.rows)]
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    right = [title in table.numeric for title in table.columns]
    lines = ["  ".join(map(pad, row, widths, right)).rstrip() for row in rows]
    if color and table.best is not None:
        lines[table.best + 1] = f"{_BOLD}{lines[table.best + 1]}{_RESET}"
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def markdown(table: Table) -> str:
    """Return the table in GitHub's Markdown."""
    rules = ["---:" if title in table.numeric else "---" for title in table.columns]
    spell = [markdown_code if title in table.code else markdown_text for title in table.columns]
    body = ([write(cell) for write, cell in zip(spell, row, strict=True)] for row in table.rows)
    rows = [table.columns, rules, *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def markdown_text(text: str) -> str:
    """Return ``text`` so that Markdown and the HTML in it show it literally."""
    return _MARKDOWN.sub(r"\\\1", printable(text))


def markdown_code(text: str) -> str:
    """Return ``text`` as a Markdown code span that may stand in a table."""
    text = printable(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    blank = " " if "`" in text else ""
    return f"{ticks}{blank}{text}{blank}{ticks}".replace("|", r"\|") if text else ""


def latex(table: Table) -> str:
    """Return the table as a LaTeX tabular with booktabs rules."""
    layout = "".join("r" if title in table.numeric else "l" for title in table.columns)
    head, *body = [" & ".join(map(latex_text, row)) + r" \\" for row in [table.columns, *table.rows]]
    parts = [rf"\begin{{tabular}}{{{layout}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join(parts)


def latex_text(text: str) -> str:
    """Return ``text`` so that LaTeX typesets it literally."""
    return "".join(_LATEX.get(c, c) for c in printable(text))


def csv_records(records: Sequence[Mapping[str, Scalar]]) -> str:
    """Return records as RFC 4180 CSV, one column for each key of any of them; numbers stay numbers."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(columns)
    for record in records:
        values = [record.get(column) for column in columns]
        writer.writerow([csv_cell(printable(value)) if isinstance(value, str) else value for value in values])
    return stream.getvalue()
