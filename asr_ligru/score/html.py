"""A report as one HTML file: no script, nothing loaded from anywhere, readable on a phone, in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from asr_ligru.errors import DataError
from asr_ligru.score.breakdown import confusions, worst
from asr_ligru.score.chart import Series, line_chart, scatter_chart
from asr_ligru.score.columns import legend, number, section_table
from asr_ligru.score.listing import edit_of
from asr_ligru.score.markup import Markup, element
from asr_ligru.score.report import Report, Section
from asr_ligru.score.rows import Row, score_run
from asr_ligru.score.runs import Run, flat_config, read_metrics
from asr_ligru.score.style import STYLE
from asr_ligru.score.tables import Table
from asr_ligru.score.wer import Pair, UtteranceScore

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_DETAILED_ROWS = 8  # of which errors are shown
_WORST = 8
_CONFUSIONS = 15
_NOT_A_SETTING = ("exp_dir", "seed")


def render_html(report: Report) -> str:
    """Return the whole page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"Runs in {report.folder}"),
        element("style", Markup(STYLE)),
    )
    parts = [element("h1", "Word error rates"), element("p", f"runs in {report.folder}", class_="quiet")]
    parts += [_section(section) for section in report.sections]
    parts += [_others(report.others)] if report.others else []
    parts += [element("p", line, class_="quiet") for line in legend(report)]
    body = element("body", element("main", *parts))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _section(section: Section) -> Markup:
    detailed = section.rows[:_DETAILED_ROWS]
    parts = [
        element("h2", section.title),
        _table(section_table(section).without(["hardware", "command"])),
        *(element("p", note, class_="note") for note in section.notes),
        _charts(section.rows),
        *(_errors(row) for row in detailed),
    ]
    if len(section.rows) > len(detailed):
        parts.append(element("p", f"errors of the best {len(detailed)} of {len(section.rows)} rows", class_="quiet"))
    return element("section", *parts, _settings(section.rows), _commands(section.rows))


def _table(table: Table) -> Markup:
    kind = ["num" if title in table.numeric else "" for title in table.columns]
    head = element("tr", *(element("th", title, class_=c) for title, c in zip(table.columns, kind, strict=True)))
    rows = [
        element(
            "tr",
            *(element("td", cell, class_=c) for cell, c in zip(row, kind, strict=True)),
            class_="best" if index == table.best else "",
        )
        for index, row in enumerate(table.rows)
    ]
    return element("div", element("table", element("thead", head), element("tbody", *rows)), class_="scroll")


def _charts(rows: Sequence[Row]) -> Markup:
    colors = {cell: index for index, cell in enumerate(dict.fromkeys(row.facts.cell for row in rows))}
    figures = [
        _curves(rows, colors),
        _scatter(rows, colors, "million parameters", lambda run: run.facts.parameters, 1e-6),
        _scatter(rows, colors, "hours of training", lambda run: run.facts.train_s, 1 / 3600),
    ]
    keys = [element("span", cell, class_=f"key c{color}") for cell, color in colors.items()]
    return element("div", element("p", *keys), *(figure for figure in figures if figure), class_="charts")


def _curves(rows: Sequence[Row], colors: dict[str, int]) -> Markup:
    series, problems = [], []
    for row in rows:
        for run in row.runs:
            try:
                series.append(Series(f"{row.name}, seed {run.facts.seed}", colors[row.facts.cell], _curve(run)))
            except DataError as error:
                problems.append(_problem(error))
    drawn = [one for one in series if any(y > 0 for _, y in one.points)]
    chart = [line_chart(drawn, "epoch", "WER of the development set, %, logarithmic")] if drawn else []
    return element("figure", *chart, *problems)


def _curve(run: Run) -> tuple[tuple[float, float], ...]:
    pairs = ((m.get("epoch"), m.get("dev_wer")) for m in read_metrics(run.folder))
    return tuple(
        (float(epoch), 100.0 * wer)
        for epoch, wer in pairs
        if isinstance(epoch, (int, float)) and isinstance(wer, (int, float)) and math.isfinite(wer + epoch)
    )


def _scatter(
    rows: Sequence[Row], colors: dict[str, int], title: str, value: Callable[[Run], float | None], factor: float
) -> Markup:
    series = []
    for row in rows:
        x = row.mean(value)
        if x:
            point = (x * factor, 100 * row.wer)
            alone = sum(other.facts.cell == row.facts.cell for other in rows) == 1
            label = row.facts.cell if alone else row.name
            series.append(Series(label, colors[row.facts.cell], (point,), _bars(row)))
    return element("figure", scatter_chart(series, title, "WER, %")) if series else Markup()


def _bars(row: Row) -> tuple[tuple[float, float], ...]:
    if row.deviation is not None:
        return ((100 * (row.wer - row.deviation), 100 * (row.wer + row.deviation)),)
    interval = row.runs[0].words.interval
    return ((100 * interval[0], 100 * interval[1]),) if interval else ()


def _errors(row: Row) -> Markup:
    run = row.runs[0]
    title = f"Errors of {row.name}, seed {run.facts.seed}"
    try:
        scores = score_run(run)
    except DataError as error:
        return element(
            "details", element("summary", title), element("p", f"{error.what}: {error.where}", class_="note")
        )
    pairs = tuple(
        (str(n), ref or "(inserted)", hyp or "(deleted)") for (ref, hyp), n in confusions(scores, _CONFUSIONS)
    )
    frequent = _table(Table(("times", "said", "heard"), pairs, frozenset({"times"})))
    counts = f"{scores.words.sub} substituted, {scores.words.dels} deleted, {scores.words.ins} inserted"
    utterances = [_utterance(utterance) for utterance in worst(scores, _WORST)]
    return element("details", element("summary", title), element("p", counts), frequent, *utterances)


def _utterance(utterance: UtteranceScore) -> Markup:
    rate = "n/a (0 ref words)" if utterance.words.rate is None else f"{number(utterance.words.rate, 100, 1)} %"
    title = f"{utterance.utt_id}: {utterance.words.errors} errors in {utterance.words.ref} words, WER {rate}"
    words = element("p", *(_word(pair) for pair in utterance.pairs), class_="aligned")
    return element("div", element("p", title, class_="quiet"), words)


def _word(pair: Pair) -> Markup:
    ref, hyp = pair
    kind = edit_of(pair)
    if not kind:
        return element("span", element("bdi", ref or ""), class_="word")
    parts = (element("bdi", word) if word is not None else Markup("&mdash;") for word in (ref, hyp))
    said, got = parts
    return element("span", element("del", said), element("ins", got), class_=f"word {kind}")


def _settings(rows: Sequence[Row]) -> Markup:
    """Return the settings in which the rows differ, a row's name above each column."""
    flat = [flat_config(row.runs[0].config) for row in rows]
    keys = sorted({key for one in flat for key in one if key not in _NOT_A_SETTING})
    table_rows = []
    for key in keys:
        values = [str(one.get(key, "-")) for one in flat]
        if len(set(values)) > 1:
            table_rows.append((key, *values))
    if not table_rows:
        return Markup()
    table = Table(("setting", *(row.name for row in rows)), tuple(table_rows))
    return element("details", element("summary", "Settings that differ"), _table(table))


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
    return element("section", element("h2", "Not in the tables"), _table(table))


def _problem(error: DataError) -> Markup:
    return element("p", f"{error.what}: {error.where}", class_="note")
