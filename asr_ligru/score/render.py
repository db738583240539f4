"""A report as text for a terminal, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import replace

from asr_ligru.safety import printable
from asr_ligru.score.columns import COLUMNS, NOT_SAID, hoisted, legend, records, section_table
from asr_ligru.score.published import Published
from asr_ligru.score.report import Report, Section
from asr_ligru.score.runs import Run
from asr_ligru.score.sparklines import run_curves
from asr_ligru.score.tables import (
    Table,
    csv_records,
    display_width,
    latex,
    markdown,
    markdown_text,
    terminal,
)
from asr_ligru.score.wer import kaldi_line

_WIDTH = 80
_BELOW = ("hardware", "command")  # too long for a terminal's table
_DROPPED = (
    "dev %",
    "epochs",
    "best",
    "commit",
    "train",
    "p MAPSSWE",
    "RTF",
)  # in order, while the table is too wide
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def render_text(report: Report, color: bool = False, curves: bool = False) -> str:
    """Return the report for a terminal, tables within 80 columns where that can be, commands below them.

    Args:
        report: what it shows.
        color: whether the terminal shows colours.
        curves: whether runs that are in no table come first, with their learning curves.
    """
    watched = [f"{_wrapped(_other_line(run))}\n{run_curves(run)}".rstrip() for run in report.others if curves]
    blocks = [*watched, *(_section_text(section, color) for section in report.sections)]
    if len(report.sections) == 1 and len(report.sections[0].rows) == 1:
        row = markdown(section_table(report.sections[0]))
        blocks.append(f"for RESULTS.md:\n{row}")
    if report.others and not curves:
        lines = "\n".join(_wrapped(_other_line(run)) for run in report.others)
        blocks.append(f"not in the table:\n{_DIM + lines + _RESET if color else lines}")
    blocks += map(_published_text, report.published)
    if report.sections:
        blocks.append("\n".join(map(_wrapped, legend(report))))
    return "\n\n".join(blocks) + "\n"


def render_markdown(report: Report) -> str:
    """Return the report in Markdown: every column, the command lines included; what goes into RESULTS.md."""
    blocks = [_section_markdown(section) for section in report.sections]
    if report.others:
        blocks.append(f"Not in the table:\n\n{markdown(_others_table(report))}")
    blocks += map(_published_markdown, report.published)
    blocks += map(markdown_text, legend(report))
    return "\n\n".join(blocks) + "\n"


def render_latex(report: Report) -> str:
    """Return the report as booktabs tables; what is not in them stands in comments."""
    blocks = []
    for section in report.sections:
        table = hoisted(section_table(section).without([*_BELOW, "commit", "epochs", "best", "dev %"]))[1]
        notes = [f"% {printable(line)}" for line in (section.title, *section.notes, *legend(report))]
        blocks.append("\n".join([*notes, latex(table)]))
    blocks += [f"% not in the table: {_other_line(run)}" for run in report.others]
    for published in report.published:
        remarks = [f"% [{n}] {printable(remark)}" for n, remark in enumerate(published.remarks, 1)]
        blocks.append("\n".join([f"% {published.title}", *remarks, latex(published.table())]))
    return "\n\n".join(blocks) + "\n"


def render_csv(report: Report) -> str:
    """Return one line for each row and each run that is in none; rates are fractions."""
    return csv_records(records(report))


def render_json(report: Report) -> str:
    """Return what the CSV holds, as JSON."""
    notes = [f"{section.title}: {note}" for section in report.sections for note in section.notes]
    tree = {
        "format": 1,
        "folders": [str(folder) for folder in report.folders],
        "baseline": report.baseline,
        "rows": records(report),
        "notes": notes,
    }
    return json.dumps(tree, indent=1) + "\n"  # ASCII: control characters and line separators are escaped


def render_kaldi(report: Report) -> str:
    """Return a line for each finished run as Kaldi's scripts print it, its folder behind; the rest in comments."""
    lines = []
    for section in report.sections:
        lines.append(f"# {printable(section.title)}")
        runs = (run for row in section.rows for run in row.runs)
        lines += [f"{kaldi_line(run.words.counts, section.rate)} {printable(str(run.folder))}" for run in runs]
    lines += [f"# {_other_line(run)}" for run in report.others]
    lines += [
        f"# {published.title}: {printable(f'{figure.rate:g} % {figure.system}: {figure.remark}')}"
        for published in report.published
        for figure in published.figures
    ]
    return "\n".join(lines) + "\n"


RENDERERS: dict[str, Callable[[Report], str]] = {
    "text": render_text,
    "md": render_markdown,
    "latex": render_latex,
    "csv": render_csv,
    "json": render_json,
    "kaldi": render_kaldi,
}


def _section_text(section: Section, color: bool) -> str:
    full = section_table(section)
    shared, table = hoisted(full.without(_BELOW))
    numbered = "differs" in table.columns and _width(table) > _WIDTH
    table = _numbered(table) if numbered else table
    for title in _DROPPED:
        if _width(table) > _WIDTH:
            table = table.without([title])
    lines = [printable("; ".join([section.title, *shared])), "", terminal(table, color)]
    lines += ["", *(_wrapped(printable(f"note: {note}")) for note in section.notes)] if section.notes else []
    return "\n".join([*lines, "", *_commands(section, numbered)])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _width(table: Table) -> int:
    return max(display_width(line) for line in terminal(table).split("\n"))


def _numbered(table: Table) -> Table:
    """Return the table with a number for what each row differs in, which is said below it."""
    place = table.columns.index("differs")
    rows = ((*row[:place], f"[{n}]", *row[place + 1 :]) for n, row in enumerate(table.rows, 1))
    return replace(table, rows=tuple(rows))


def _commands(section: Section, numbered: bool) -> list[str]:
    """Return what the table may lack the width for, and the commands, a row's differing ones on a line each."""
    lines = []
    for n, row in enumerate(section.rows, 1):
        cells = {title: make(row) for title, make in COLUMNS.items()}
        about = "{train}, best epoch {best} of {epochs}, dev {dev %} %, commit {commit}, {hardware}".format_map(cells)
        tested = f", p of MAPSSWE {cells['p MAPSSWE']}" if cells["p MAPSSWE"] else ""
        number = f"[{n}] " if numbered else ""
        lines.append(_wrapped(printable(f"{number}{row.name}: {about}{tested}")))
        commands = dict.fromkeys(run.facts.command for run in row.runs if run.facts.command)
        lines += [f"  {printable(command)}" for command in commands]
    return lines


def _section_markdown(section: Section) -> str:
    notes = [f"*{markdown_text(note)}*" for note in section.notes]
    return "\n\n".join([f"**{markdown_text(section.title)}**", markdown(section_table(section)), *notes])


def _published_text(published: Published) -> str:
    remarks = [_wrapped(f"[{n}] {printable(remark)}") for n, remark in enumerate(published.remarks, 1)]
    return "\n".join([published.title, "", terminal(published.table()), "", *remarks])


def _published_markdown(published: Published) -> str:
    remarks = [markdown_text(f"[{n}] {remark}") for n, remark in enumerate(published.remarks, 1)]
    return "\n\n".join([f"**{markdown_text(published.title)}**", markdown(published.table()), *remarks])


def _others_table(report: Report) -> Table:
    rows = tuple((run.state, _name(run), run.detail, str(run.folder)) for run in report.others)
    return Table(("state", "run", "how far", "folder"), rows)


def _name(run: Run) -> str:
    seed = "" if run.facts.seed is None else f"seed {run.facts.seed}"
    return " ".join(part for part in (run.facts.corpus, run.facts.cell, run.facts.features, seed) if part) or NOT_SAID


def _other_line(run: Run) -> str:
    return printable(f"{run.state}: {_name(run)}: {run.detail} ({run.folder})")
