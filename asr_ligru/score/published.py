"""Figures that others published, to stand beside one's own; they were not made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asr_ligru import resources
from asr_ligru.errors import ConfigError
from asr_ligru.registry import nearest
from asr_ligru.safety import read_json
from asr_ligru.score.tables import Table

NOT_RUN_HERE = "published, not run here"


@dataclass(frozen=True)
class Figure:
    """One published error rate.

    Attributes:
        system: what was run.
        rate: percent, as published.
        conditions: what must be known to compare it.
        source: where it stands.
        errors: that were counted, where it says so.
        ref: of so many reference words.
        cer: character error rate, percent, where it says so.
    """

    system: str
    rate: float
    conditions: str
    source: str
    errors: int | None = None
    ref: int | None = None
    cer: float | None = None

    @property
    def remark(self) -> str:
        """Return its conditions and source."""
        return f"{self.conditions}; {self.source}"


@dataclass(frozen=True)
class Published:
    """The figures of one test set.

    Attributes:
        corpus: its name.
        split: which part.
        metric: "WER" or "PER".
        figures: by rising rate.
    """

    corpus: str
    split: str
    metric: str
    figures: tuple[Figure, ...]

    @property
    def title(self) -> str:
        """Return the line above the table."""
        return f"{self.corpus} {self.split}, {NOT_RUN_HERE}"

    @property
    def remarks(self) -> list[str]:
        """Return what applies to the figures, each once; the table counts them from 1."""
        return list(dict.fromkeys(figure.remark for figure in self.figures))

    def table(self) -> Table:
        """Return the figures with the number of their remark."""
        numbers = {remark: str(n) for n, remark in enumerate(self.remarks, 1)}
        rows = tuple(
            (
                figure.system,
                str(figure.rate),
                "" if figure.cer is None else str(figure.cer),
                "" if figure.errors is None else f"{figure.errors} / {figure.ref}",
                f"[{numbers[figure.remark]}]",
            )
            for figure in self.figures
        )
        table = Table(("system, not run here", f"{self.metric} %", "CER %", "errors", "see"), rows, _NUMERIC)
        return table.without(title for n, title in enumerate(table.columns) if not any(row[n] for row in rows))


_NUMERIC = frozenset({"WER %", "PER %", "CER %", "errors"})


def published_corpora() -> list[str]:
    """Return the corpora of which there are published figures."""
    return sorted(path.stem for path in (resources.folder("conf") / "published").glob("*.json"))


def read_published(corpus: str) -> Published:
    """Return the published figures of a corpus.

    Raises:
        ConfigError: there are none; the message names the nearest.
    """
    known = published_corpora()
    if corpus not in known:
        raise ConfigError(f"no published figures of {corpus!r}", fix=nearest(corpus, known))
    tree: dict[str, Any] = read_json(resources.folder("conf") / "published" / f"{corpus}.json")
    figures = sorted((Figure(**figure) for figure in tree["figures"]), key=lambda figure: figure.rate)
    return Published(tree["corpus"], tree["split"], tree["metric"], tuple(figures))
