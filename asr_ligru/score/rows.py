"""One row of a table: a system's runs over seeds, and how it compares with a baseline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from asr_ligru.errors import DataError
from asr_ligru.score.runs import Facts, Run
from asr_ligru.score.significance import Comparison, MatchedPairs, holm, mapsswe, paired_bootstrap
from asr_ligru.score.texts import read_texts
from asr_ligru.score.wer import Scores, score
from asr_ligru.typing import Utterance

BEST = "best"  # as a baseline: the row with the fewest errors


@dataclass(frozen=True)
class Row:
    """One system: the same configuration trained from one or more seeds.

    Attributes:
        runs: its finished runs, by seed.
        differs: the settings that set it apart from rows with the same cell, features and tokens.
        change: relative change of the WER against the baseline (-0.2: a fifth fewer errors), or None.
        p: of that change by paired bootstrap, Holm-corrected over the table, or None.
        p_mapsswe: the same by the matched-pairs test.
        p_seeds: the same by paired bootstrap with both systems' seeds drawn, too; None also where one has a single one.
    """

    runs: tuple[Run, ...]
    differs: str = ""
    change: float | None = None
    p: float | None = None
    p_mapsswe: float | None = None
    p_seeds: float | None = None

    @property
    def facts(self) -> Facts:
        """Return what the first of its runs records, for what all of them share."""
        return self.runs[0].facts

    @property
    def labels(self) -> tuple[str, str, str]:
        """Return its cell, features and tokens."""
        return self.facts.cell, self.facts.features, self.facts.tokens

    @property
    def name(self) -> str:
        """Return what tells it from the other rows."""
        return " ".join(part for part in (*self.labels, self.differs) if part)

    @property
    def seeds(self) -> list[int]:
        """Return the seeds of its runs."""
        return [run.facts.seed for run in self.runs if run.facts.seed is not None]

    def wers(self) -> list[float]:
        """Return the word error rate of each run, fractions."""
        return [run.words.rate for run in self.runs if run.words.rate is not None]

    def mean(self, value: Callable[[Run], float | None]) -> float | None:
        """Return the mean of ``value`` over its runs, None when a run does not say."""
        values = [value(run) for run in self.runs]
        known = [v for v in values if v is not None]
        return statistics.fmean(known) if len(known) == len(values) else None

    @property
    def wer(self) -> float:
        """Return the mean word error rate, a fraction."""
        return statistics.fmean(self.wers())

    @property
    def deviation(self) -> float | None:
        """Return the sample standard deviation of the WER over seeds, None for one seed."""
        return statistics.stdev(self.wers()) if len(self.runs) > 1 else None


def compare(rows: Sequence[Row], baseline: str) -> tuple[list[Row], list[str]]:
    """Return ``rows`` with their change against the baseline, and notes on what could not be compared.

    Every row is tested by paired bootstrap and by MAPSSWE against the row of the cell ``baseline`` with the same
    features and tokens, or the best of these; over several seeds, errors are their mean. The p values of each test are
    Holm-corrected together.
    """
    compared, notes = list(rows), []
    tests: dict[int, tuple[Comparison, MatchedPairs]] = {}

    @cache
    def scores_of(index: int) -> list[Scores]:
        return [score_run(run) for run in rows[index].runs]

    for labels in dict.fromkeys(row.labels[1:] for row in rows):
        group = [i for i, row in enumerate(rows) if row.labels[1:] == labels]
        best = min(group, key=lambda i: rows[i].wer)
        bases = [best] if baseline == BEST else [i for i in group if rows[i].facts.cell == baseline]
        if len(bases) != 1:
            notes.append(f"{' '.join(labels)}: no change shown, {len(bases)} rows of {baseline} instead of one")
            continue
        wer = rows[bases[0]].wer
        for index in (i for i in group if i != bases[0]):
            compared[index] = replace(rows[index], change=rows[index].wer / wer - 1 if wer else None)
            try:
                pair = scores_of(bases[0]), scores_of(index)
                tests[index] = paired_bootstrap(*pair), mapsswe(*pair)
            except DataError as error:
                notes.append(f"{rows[index].name}: no p, {error.what} in {error.where}")
    drawn = holm([bootstrap.p for bootstrap, _ in tests.values()])
    matched = holm([pairs.p for _, pairs in tests.values()])
    for index, p, p_mapsswe in zip(tests, drawn, matched, strict=True):
        compared[index] = replace(compared[index], p=p, p_mapsswe=p_mapsswe)
    with_seeds = {i: bootstrap.p_seeds for i, (bootstrap, _) in tests.items() if bootstrap.p_seeds is not None}
    for index, p in zip(with_seeds, holm(list(with_seeds.values())), strict=True):
        compared[index] = replace(compared[index], p_seeds=p)
    return compared, notes


def score_run(run: Run, known: Mapping[str, Utterance] | None = None) -> Scores:
    """Count a finished run's errors again, utterance by utterance, from its ``hyp.jsonl``.

    Args:
        run: a finished one.
        known: what its test set's manifest says, by utterance id.

    Raises:
        DataError: there is no such file, or it does not give the errors that ``wer.json`` records.
    """
    path = run.folder / "hyp.jsonl"
    refs, hyps = read_texts(path, "ref"), read_texts(path, "hyp")
    manifest = list((known or {}).values())
    scores = score(
        refs.texts,
        hyps.texts,
        profile=run.profile,
        allow_missing=True,
        speakers={u.utt_id: u.speaker for u in manifest},
        snr_db={u.utt_id: u.snr_db for u in manifest if u.snr_db is not None},
    )
    if (scores.words.errors, scores.words.ref) != (run.words.errors, run.words.ref):
        raise DataError(
            f"hyp.jsonl has {scores.words.errors} errors in {scores.words.ref} words, "
            f"wer.json has {run.words.errors} in {run.words.ref}",
            where=str(run.folder),
            fix="score the run again",
        )
    return scores
