"""A report as one HTML file: no script, nothing loaded from anywhere, readable on a phone, in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from asr_ligru.errors import DataError
from asr_ligru.score.chart import COLORS, Series, bar_chart, line_chart, scatter_chart
from asr_ligru.score.columns import hoisted, legend, section_table
from asr_ligru.score.html_errors import EDITS, edit_bar, problem, run_errors
from asr_ligru.score.markup import Markup, element, html_table
from asr_ligru.score.published import Published
from asr_ligru.score.report import Report, Section
from asr_ligru.score.rows import Row
from asr_ligru.score.runs import Run, read_metrics, settings
from asr_ligru.score.style import STYLE
from asr_ligru.score.tables import Table
from asr_ligru.score.wer import Counts

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_DETAILED_ROWS = 8  # of which errors are shown
_NOT_A_SETTING = ("exp_dir", "exp_root", "run_name", "seed")


def render_html(report: Report, base: Path, refresh_s: float = 0) -> str:
    """Return the whole page.

    Args:
        report: what it shows.
        base: the folder it will lie in, for links to audio files.
        refresh_s: seconds after which a browser reads it again; 0 for never.
    """
    folders = ", ".join(map(str, report.folders))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="refresh", content=f"{refresh_s:.0f}") if refresh_s else Markup(),
        element("title", f"Runs in {folders}"),
        element("style", Markup(STYLE)),
    )
    parts = [element("h1", "Error rates"), element("p", f"runs in {folders}", class_="quiet")]
    parts += [_section(section, base) for section in report.sections]
    parts += [_others(report.others)] if report.others else []
    parts += [_published(published) for published in report.published]
    parts += [element("p", line, class_="quiet") for line in legend(report)]
    body = element("body", element("main", *parts))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _section(section: Section, base: Path) -> Markup:
    detailed = section.rows[:_DETAILED_ROWS]
    shared, table = hoisted(section_table(section).without(["hardware", "command"]))
    parts = [
        element("h2", section.title),
        element("p", "; ".join(shared), class_="quiet") if shared else Markup(),
        html_table(table),
        *(element("p", note, class_="note") for note in section.notes),
        _charts(section),
    ]
    for row in detailed:
        run = row.runs[0]
        parts.append(run_errors(run, f"Errors of {row.name}, seed {run.facts.seed}", base))
    if len(section.rows) > len(detailed):
        parts.append(element("p", f"errors of the best {len(detailed)} of {len(section.rows)} rows", class_="quiet"))
    return element("section", *parts, _settings(section.rows), _commands(section.rows))


def _charts(section: Section) -> Markup:
    rows = section.rows
    runs = [(f"{row.name}, seed {run.facts.seed}", run) for row in rows for run in row.runs]
    figures = [
        _curves(runs),
        _scatter(section, "million parameters", lambda run: run.facts.parameters, 1e-6),
        _scatter(section, "hours of training", lambda run: run.facts.train_s, 1 / 3600),
    ]
    edits = [edit_bar(_label(row, rows), _mean_counts(row), row.name) for row in rows]
    kinds = (element("span", name, class_=f"key c{color}") for name, color in EDITS)
    bars = element("figure", bar_chart(edits, f"kinds of errors, {section.rate}, %"), element("p", *kinds))
    return element("div", *(figure for figure in figures if figure), bars, class_="charts")


def _mean_counts(row: Row) -> Counts:
    """Return the counts of all its runs together."""
    return sum((run.words.counts for run in row.runs), Counts())


def _label(row: Row, rows: Sequence[Row]) -> str:
    alone = sum(other.facts.cell == row.facts.cell for other in rows) == 1
    return row.facts.cell if alone else row.name


def _colors(runs: Sequence[Run]) -> dict[str, int]:
    return {cell: index % COLORS for index, cell in enumerate(dict.fromkeys(run.facts.cell for run in runs))}


def _keys(colors: dict[str, int]) -> Markup:
    return element("p", *(element("span", cell, class_=f"key c{color}") for cell, color in colors.items()))


def _curves(named: Sequence[tuple[str, Run]]) -> Markup:
    colors = _colors([run for _, run in named])
    series, problems = [], []
    for name, run in named:
        try:
            series.append(Series(name, colors[run.facts.cell], _curve(run)))
        except DataError as error:
            problems.append(problem(error))
    drawn = [one for one in series if any(y > 0 for _, y in one.points)]
    chart = (
        [line_chart(drawn, "epoch", "error rate of the development set, %, logarithmic"), _keys(colors)]
        if drawn
        else []
    )
    return element("figure", *chart, *problems) if chart or problems else Markup()


def _curve(run: Run) -> tuple[tuple[float, float], ...]:
    pairs = ((m.get("epoch"), m.get("dev_wer")) for m in read_metrics(run.folder))
    return tuple(
        (float(epoch), 100.0 * wer)
        for epoch, wer in pairs
        if isinstance(epoch, (int, float)) and isinstance(wer, (int, float)) and math.isfinite(wer + epoch)
    )


def _scatter(section: Section, title: str, value: Callable[[Run], float | None], factor: float) -> Markup:
    colors = _colors([row.runs[0] for row in section.rows])
    series = []
    for row in section.rows:
        x = row.mean(value)
        if x:
            point = (x * factor, 100 * row.wer)
            series.append(Series(_label(row, section.rows), colors[row.facts.cell], (point,), _bars(row)))
    return element("figure", scatter_chart(series, title, f"{section.rate}, %")) if series else Markup()


def _bars(row: Row) -> tuple[tuple[float, float], ...]:
    if row.deviation is not None:
        return ((100 * (row.wer - row.deviation), 100 * (row.wer + row.deviation)),)
    interval = row.runs[0].words.interval
    return ((100 * interval[0], 100 * interval[1]),) if interval else ()


def _settings(rows: Sequence[Row]) -> Markup:
    """Return the settings in which the rows differ, a row's name above each column."""
    flat = [settings(row.runs[0]) for row in rows]
    keys = sorted({key for one in flat for key in one if key not in _NOT_A_SETTING})
    table_rows = []
    for key in keys:
        values = [str(one.get(key, "-")) for one in flat]
        if len(set(values)) > 1:
            table_rows.append((key, *values))
    if not table_rows:
        return Markup()
    table = Table(("setting", *(row.name for row in rows)), tuple(table_rows))
    return element("details", element("summary", "Settings that differ"), html_table(table))


def _commands(rows: Sequence[Row]) -> Markup:
    items = [
        element("li", f"{row.name}, seed {run.facts.seed}: ", element("code", run.facts.command), f" ({_origin(run)})")
        for row in rows
        for run in row.runs
    ]
    return element("details", element("summary", "Commands"), element("ul", *items))


def _origin(run: Run) -> str:
    return f"commit {run.facts.commit or '-'}, {run.facts.hardware or 'hardware unknown'}, {run.folder}"


def _others(runs: Sequence[Run]) -> Markup:
    rows = tuple((run.state, run.facts.corpus, run.facts.cell, run.detail, str(run.folder)) for run in runs)
    table = Table(("state", "corpus", "cell", "how far", "folder"), rows)
    curves = _curves([(f"{run.facts.cell}, seed {run.facts.seed}", run) for run in runs])
    return element("section", element("h2", "Not in the tables"), html_table(table), curves)


def _published(published: Published) -> Markup:
    remarks = (element("p", f"[{n}] {remark}", class_="quiet") for n, remark in enumerate(published.remarks, 1))
    return element("section", element("h2", published.title), html_table(published.table()), *remarks)
