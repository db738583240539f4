"""What the cells of a table say: the same words in every format meant for eyes, raw numbers in the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from asr_ligru.score.published import NOT_RUN_HERE, Published
from asr_ligru.score.report import Report, Section
from asr_ligru.score.rows import BEST, Row
from asr_ligru.score.runs import Run
from asr_ligru.score.tables import Scalar, Table

NOT_SAID = "-"
LEGEND = (
    "{rate} %: mean ± standard deviation over seeds; of a single seed with the 95 % bootstrap interval over utterances"
)
CHANGE_LEGEND = (
    "change: of the {rate} against {baseline}, relative; p: paired bootstrap over utterances, and matched pairs of "
    "segments (MAPSSWE), each Holm-corrected within the table, the luck of the seed not included; p seeds: the "
    "bootstrap with the seeds drawn, too"
)

COLUMNS: dict[str, Callable[[Row], str]] = {
    "cell": lambda row: row.facts.cell,
    "features": lambda row: row.facts.features,
    "tokens": lambda row: row.facts.tokens,
    "differs": lambda row: row.differs,
    "par. M": lambda row: number(row.mean(lambda run: run.facts.parameters), 1e-6, 2),
    "seeds": lambda row: ",".join(map(str, row.seeds)) if len(row.seeds) < 5 else f"{len(row.seeds)} seeds",
    "WER %": lambda row: wer_text(row),
    "change": lambda row: "" if row.change is None else f"{100 * row.change:+.0f} %",
    "p": lambda row: "" if row.p is None else p_text(row.p),
    "p MAPSSWE": lambda row: "" if row.p_mapsswe is None else p_text(row.p_mapsswe),
    "p seeds": lambda row: "" if row.p_seeds is None else p_text(row.p_seeds),
    "CER %": lambda row: number(row.mean(lambda run: run.chars.rate), 100, 2),
    "RTF": lambda row: number(row.mean(lambda run: run.facts.rtf), 1, 4),
    "train": lambda row: duration(row.mean(lambda run: run.facts.train_s)),
    "epochs": lambda row: span(run.facts.epochs for run in row.runs),
    "best": lambda row: span(run.facts.best_epoch for run in row.runs),
    "dev %": lambda row: number(row.mean(lambda run: run.facts.dev_wer), 100, 2),
    "commit": lambda row: one_of(run.facts.commit[:9] for run in row.runs),
    "hardware": lambda row: one_of(run.facts.hardware for run in row.runs),
    "command": lambda row: one_of(run.facts.command for run in row.runs),
}
NUMERIC = frozenset({"par. M", "WER %", "PER %", "change", "p", "p MAPSSWE", "p seeds", "CER %", "RTF", "train"})
NUMERIC |= {"epochs", "best", "dev %"}
CODE = frozenset({"command"})
_SOMETIMES = ("differs", "change", "p", "p MAPSSWE", "p seeds")  # columns that are left out while empty


def section_table(section: Section) -> Table:
    """Return a section with all columns; the best row is marked where there is a choice."""
    rows = tuple(tuple(make(row) for make in COLUMNS.values()) for row in section.rows)
    titles = tuple(title.replace("WER %", f"{section.rate} %") for title in COLUMNS)
    table = Table(titles, rows, NUMERIC, CODE, best=0 if len(rows) > 1 else None)
    empty = [t for t in _SOMETIMES if not any(row[table.columns.index(t)] for row in rows)]
    return table.without([*empty, *(["CER %"] if section.rate == "PER" else [])])


def hoisted(table: Table) -> tuple[list[str], Table]:
    """Take columns that say the same in every row out of the table."""
    shared = []
    for title in ("features", "tokens", "commit"):
        values = {row[table.columns.index(title)] for row in table.rows if title in table.columns}
        if len(table.rows) > 1 and len(values) == 1:
            shared.append(f"{title} {values.pop()}")
            table = table.without([title])
    return shared, table


def legend(report: Report) -> list[str]:
    """Return what the columns mean, where a title is not enough."""
    rates = "/".join(dict.fromkeys(section.rate for section in report.sections))
    lines = [LEGEND, CHANGE_LEGEND] if report.baseline else [LEGEND]
    baseline = "the best row" if report.baseline == BEST else report.baseline
    return [line.format(rate=rates, baseline=baseline) for line in lines if rates]


def records(report: Report) -> list[dict[str, Scalar]]:
    """Return one flat record for each row, and for each run that is in none, with raw numbers (rates are fractions)."""
    rows = [
        _record(section, row) | {"folder": "; ".join(str(run.folder) for run in row.runs)}
        for section in report.sections
        for row in section.rows
    ]
    others = (_other_record(run) for run in report.others)
    return [*rows, *others, *(record for published in report.published for record in _published_records(published))]


def wer_text(row: Row) -> str:
    """Return the WER in percent: mean and deviation of several seeds, or one seed's with its 95 % interval."""
    if row.deviation is not None:
        return f"{100 * row.wer:.2f} ± {100 * row.deviation:.2f}"
    interval = row.runs[0].words.interval
    return f"{100 * row.wer:.2f}" + (f" ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})" if interval else "")


def number(value: float | None, factor: float, digits: int) -> str:
    """Return ``value * factor`` with so many digits after the point."""
    return NOT_SAID if value is None else f"{value * factor:.{digits}f}"


def p_text(p: float) -> str:
    """Return a probability with the digits that matter."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float | None) -> str:
    """Return a duration in the unit a reader would use: "48 s", "22 min", "3.4 h"."""
    if seconds is None:
        return NOT_SAID
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def span(values: Iterable[int | None]) -> str:
    """Return "7" or "7-12": the range of what is known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return NOT_SAID
    return str(known[0]) if known[0] == known[-1] else f"{known[0]}-{known[-1]}"


def one_of(texts: Iterable[str]) -> str:
    """Return the different ones of ``texts``, in order."""
    return "; ".join(dict.fromkeys(text for text in texts if text)) or NOT_SAID


def _record(section: Section, row: Row) -> dict[str, Scalar]:
    single = row.runs[0] if len(row.runs) == 1 else None
    low, high = (single and single.words.interval) or (None, None)
    speaker_low, speaker_high = (single and single.words.interval_by_speaker) or (None, None)
    return {
        "state": "finished",
        "corpus": section.corpus,
        "split": section.split,
        "profile": section.profile,
        "words": section.words,
        "cell": row.facts.cell,
        "features": row.facts.features,
        "tokens": row.facts.tokens,
        "differs": row.differs,
        "parameters": row.facts.parameters,
        "runs": len(row.runs),
        "seeds": " ".join(map(str, row.seeds)),
        "metric": section.rate,
        "wer": row.wer,
        "wer_low": low,
        "wer_high": high,
        "wer_low_by_speaker": speaker_low,
        "wer_high_by_speaker": speaker_high,
        "wer_deviation": row.deviation,
        "change": row.change,
        "p": row.p,
        "p_mapsswe": row.p_mapsswe,
        "p_seeds": row.p_seeds,
        "cer": row.mean(lambda run: run.chars.rate),
        "rtf": row.mean(lambda run: run.facts.rtf),
        "train_s": row.mean(lambda run: run.facts.train_s),
        "epochs": row.mean(lambda run: run.facts.epochs),
        "best_epoch": row.mean(lambda run: run.facts.best_epoch),
        "dev_wer": row.mean(lambda run: run.facts.dev_wer),
        "word_ece": row.mean(lambda run: run.facts.word_ece),
        "synthetic": row.facts.synthetic,
        "commit": one_of(run.facts.commit for run in row.runs),
        "hardware": one_of(run.facts.hardware for run in row.runs),
        "command": one_of(run.facts.command for run in row.runs),
        "detail": "",
    }


def _other_record(run: Run) -> dict[str, Scalar]:
    return {
        "state": run.state,
        "corpus": run.facts.corpus,
        "cell": run.facts.cell,
        "features": run.facts.features,
        "tokens": run.facts.tokens,
        "seeds": "" if run.facts.seed is None else str(run.facts.seed),
        "detail": run.detail,
        "folder": str(run.folder),
    }


def _published_records(published: Published) -> list[dict[str, Scalar]]:
    return [
        {
            "state": NOT_RUN_HERE,
            "corpus": published.corpus,
            "split": published.split,
            "words": figure.ref,
            "cell": figure.system,
            "metric": published.metric,
            "wer": round(figure.rate / 100, 6),
            "cer": None if figure.cer is None else round(figure.cer / 100, 6),
            "detail": figure.remark,
        }
        for figure in published.figures
    ]
