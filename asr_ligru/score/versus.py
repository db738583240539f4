"""Hypotheses of other systems against one's own: how far apart, and whether by more than luck."""

from __future__ import annotations

from collections.abc import Mapping

from asr_ligru.score.columns import p_text
from asr_ligru.score.significance import holm, mapsswe, paired_bootstrap
from asr_ligru.score.tables import Table, terminal
from asr_ligru.score.wer import Scores


def versus(scores: Scores, others: Mapping[str, Scores]) -> str:
    """Return a table of other systems, each tested against ``scores`` on the same utterances.

    Args:
        scores: the system that is compared.
        others: at least one, by name; the p values of each test are Holm-corrected over them.

    Raises:
        DataError: they were not scored on the same utterances.
    """
    drawn = [paired_bootstrap([scores], [other]) for other in others.values()]
    matched = [mapsswe([scores], [other]) for other in others.values()]
    corrected = zip(holm([c.p for c in drawn]), holm([m.p for m in matched]), strict=True)
    columns = ("other", f"{scores.word_rate} %", "change %", "95 %", "p", "p MAPSSWE", "segments")
    rows = tuple(
        (
            name,
            f"{100 * (other.words.rate or 0.0):.2f}",
            f"{100 * change.change:+.2f}",
            f"{100 * change.interval[0]:+.2f} to {100 * change.interval[1]:+.2f}",
            p_text(p),
            p_text(p_mapsswe),
            str(pairs.segments),
        )
        for (name, other), change, pairs, (p, p_mapsswe) in zip(others.items(), drawn, matched, corrected, strict=True)
    )
    title = "other hypotheses; change: absolute, with its paired bootstrap interval; p: Holm-corrected"
    return f"{title}\n{terminal(Table(columns, rows, frozenset(columns[1:])))}"
