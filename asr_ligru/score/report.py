"""The runs under a folder as tables: one for each test set, one row for each system, its seeds put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from asr_ligru.errors import ConfigError
from asr_ligru.registry import nearest
from asr_ligru.score.published import Published, read_published
from asr_ligru.score.rows import BEST, Row, compare
from asr_ligru.score.runs import Run, find_runs, settings
from asr_ligru.score.wer import rate_name

K = TypeVar("K", bound=Hashable)

# Keys that change neither the model nor its score, so runs that differ in them are seeds of one system.
_NOT_THE_SYSTEM = {
    "seed",
    "exp_dir",
    "exp_root",
    "run_name",
    "cell.backend",
    "corpus.dir",
    "decode.batch_frames",
    "features.cache",
    "train.device",
    "train.num_workers",
    "train.progress",
    "train.save_every_s",
    "train.tensorboard",
    "train.threads",
}


@dataclass(frozen=True)
class Section:
    """One test set and the systems scored on it.

    Attributes:
        corpus: its name.
        split: "test", unless the runs say otherwise.
        profile: the normalisation profile.
        words: reference words.
        rows: by rising WER.
        notes: what a reader must know to read the table rightly.
    """

    corpus: str
    split: str
    profile: str
    words: int
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def rate(self) -> str:
        """Return what its error rate is called: "WER" or "PER"."""
        return rate_name(self.profile)

    @property
    def title(self) -> str:
        """Return the line that says what was scored and how."""
        unit = "phones" if self.rate == "PER" else "words"
        return f"{self.corpus} {self.split}: {self.words} {unit}, profile {self.profile}"


@dataclass(frozen=True)
class Report:
    """Everything found under some folders.

    Attributes:
        folders: where.
        sections: one for each test set.
        others: runs that are in no row, because they are still training, stopped, not scored or broken.
        baseline: what the changes refer to, or empty.
        published: figures of others, not made here.
    """

    folders: tuple[Path, ...]
    sections: tuple[Section, ...]
    others: tuple[Run, ...]
    baseline: str = ""
    published: tuple[Published, ...] = ()


def build_report(folders: Sequence[Path], baseline: str = "", published: Sequence[str] = ()) -> Report:
    """Read the runs under ``folders`` and put them into tables.

    Args:
        folders: hold runs, at any depth; none for published figures alone.
        baseline: a cell; every other row is compared with the row of this cell that has the same features and tokens;
            "best" for the best of these.
        published: corpora whose published figures stand beside.

    Raises:
        ConfigError: no finished run has the baseline's cell, or there are no published figures of a corpus.
        DataError: no such folder, or no run in it.
    """
    runs = find_runs(folders)
    finished = [run for run in runs if run.state == "finished"]
    cells = {run.facts.cell for run in finished}
    if baseline not in {"", BEST, *cells}:
        raise ConfigError(f"no finished run of the baseline {baseline!r}", fix=nearest(baseline, cells))
    sections = tuple(_section(group, baseline) for group in _grouped(finished, _test_set))
    others = tuple(run for run in runs if run.state != "finished")
    return Report(tuple(folders), sections, others, baseline, tuple(map(read_published, published)))


def _section(runs: Sequence[Run], baseline: str) -> Section:
    rows = sorted((Row(tuple(group)) for group in _grouped(runs, _system)), key=lambda row: row.wer)
    rows = _with_differences(rows)
    notes = [*_seed_notes(rows), *_left_out_notes(rows), *_floor_notes(rows)]
    if baseline:
        rows, uncompared = compare(rows, baseline)
        notes += uncompared
    if any(run.facts.synthetic for run in runs):
        notes.append("synthetic speech: these rates say nothing about real speech")
    facts = runs[0].facts
    return Section(facts.corpus, facts.split or "test", runs[0].profile, runs[0].words.ref, tuple(rows), tuple(notes))


def _grouped(runs: Iterable[Run], key: Callable[[Run], K]) -> list[list[Run]]:
    groups: dict[K, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return [sorted(group, key=lambda run: (run.facts.seed or 0, run.folder)) for group in groups.values()]


def _test_set(run: Run) -> tuple[str, str, str, int]:
    return run.facts.corpus, run.facts.split, run.profile, run.words.ref


def _settings(run: Run) -> dict[str, str]:
    return {key: str(value) for key, value in settings(run).items() if key not in _NOT_THE_SYSTEM}


def _system(run: Run) -> tuple[object, ...]:
    return (
        run.facts.cell,
        run.facts.features,
        run.facts.tokens,
        run.facts.parameters,
        tuple(sorted(_settings(run).items())),
    )


def _with_differences(rows: Sequence[Row]) -> list[Row]:
    """Name, for rows with the same labels, the settings in which they differ."""
    each = [_settings(row.runs[0]) for row in rows]
    named = []
    for row, own in zip(rows, each, strict=True):
        alike = [other for one, other in zip(rows, each, strict=True) if one.labels == row.labels]
        keys = [key for key in own if any(other.get(key) != own[key] for other in alike)]
        named.append(replace(row, differs=" ".join(f"{key}={own[key]}" for key in sorted(keys))))
    return named


def _seed_notes(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.facts.cell}: seed {seed} is there {count} times"
        for row in rows
        for seed, count in Counter(row.seeds).items()
        if count > 1
    ]


def _left_out_notes(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.facts.cell}, seed {run.facts.seed}: {count} {what}"
        for row in rows
        for run in row.runs
        for count, what in (
            (run.facts.left_out, "utterances left out of training"),
            (run.facts.skipped_batches, "batches skipped in training"),
        )
        if count
    ]


def _floor_notes(rows: Sequence[Row]) -> list[str]:
    """Return how low the rate can be where a model lacks letters or words of the references."""
    return [
        f"{row.facts.cell}, seed {run.facts.seed}: {count} of {run.words.ref} reference words hold what the model "
        f"cannot write: WER at least {100 * count / run.words.ref:.2f} %"
        for row in rows
        for run in row.runs
        if (count := run.facts.unwritable_words) and run.words.ref
    ]
