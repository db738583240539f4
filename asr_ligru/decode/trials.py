"""What was tried in tuning: one combination of weights, the table of them, and the files they are kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.decode.rescore import AXES, LABELS, Rescoring
from asr_ligru.decode.settings import KINDS, Kind, Settings, SettingsFile, name_of, write_settings
from asr_ligru.safety import atomic_write, printable
from asr_ligru.score.surface import draw_surfaces
from asr_ligru.score.wer import Counts, Scores

SETTINGS = "decode.json"
OWN_LM = "the model's own"
_RATES = ("wer", "cer", "word_errors", "words")


@dataclass(frozen=True)
class Trial:
    """How well one combination did.

    Attributes:
        lm: the ARPA file; None for the model's own.
        settings: the weights.
        scores: of the development set, for each model that it was tried with.
        lexicon: the words that could be recognised; None for all, or the model's own.
        rescore: what scored the readings again; None for nothing.
    """

    lm: Path | None
    settings: Settings
    scores: tuple[Scores, ...]
    lexicon: Path | None = None
    rescore: Rescoring | None = None

    @property
    def kind(self) -> Kind:
        """What is weighed."""
        return KINDS[name_of(self.settings)]

    @property
    def words(self) -> Counts:
        """Word errors of all models."""
        return sum((scores.words for scores in self.scores), Counts())

    @property
    def chars(self) -> Counts:
        """Character errors of all models."""
        return sum((scores.chars for scores in self.scores), Counts())

    @property
    def rank(self) -> tuple[float, ...]:
        """What is smaller for the better one: word errors, character errors, and the weaker language models."""
        again = self.rescore.settings.rescore_weight if self.rescore else 0.0
        return (self.words.errors, self.chars.errors, again, self.kind.distrust(self.settings))

    @property
    def point(self) -> tuple[float, float]:
        """Where it is in a picture: the weights of the rescoring where there is one, else those of the search."""
        weighed, axes = (self.rescore.settings, AXES) if self.rescore else (self.settings, self.kind.axes)
        return (getattr(weighed, axes[0]), getattr(weighed, axes[1]))

    @property
    def wer(self) -> float:
        """Word error rate, percent; 0 without reference words."""
        return 100.0 * (self.words.rate or 0.0)

    @property
    def cer(self) -> float:
        """Character error rate, percent; 0 without reference characters."""
        return 100.0 * (self.chars.rate or 0.0)

    def cells(self) -> tuple[str, ...]:
        """Return the trial as a row of a table."""
        rates = (f"{self.wer:.2f}", f"{self.cer:.2f}", str(self.words.errors), str(self.words.ref))
        weights = (f"{getattr(self.settings, name):g}" for name in self.kind.shown)
        return (*rates, *weights, printable(str(self.lm or OWN_LM)), *self._rescore_cells())

    def _rescore_cells(self) -> tuple[str, ...]:
        if self.rescore is None:
            return ()
        return (*(f"{weight:g}" for weight in self.point), printable(str(self.rescore.lm)))


def render_trials(trials: Sequence[Trial]) -> str:
    """Return a table for the terminal."""
    rows = _table(trials)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def write_trials(folder: Path, trials: Sequence[Trial], split: str) -> None:
    """Write the table, the best weights and, last, the picture.

    Args:
        folder: made where it does not exist; gets trials.tsv, decode.json and surface.png.
        trials: the best first.
        split: what they were tried on.

    Raises:
        EnvironmentError_: a file cannot be written, or the extra ``viz`` is missing: the first two are there then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "trials.tsv", "".join("\t".join(row) + "\n" for row in _table(trials)))
    best = trials[0]
    tuned = {"split": split, "wer": round(best.wer, 4), "cer": round(best.cer, 4), "trials": len(trials)}
    tuned |= {"models": len(best.scores)}
    write_settings(folder / SETTINGS, SettingsFile(best.settings, best.lm, best.lexicon, tuned, best.rescore))
    surfaces: dict[str, dict[tuple[float, float], float]] = {}
    for trial in trials:
        lm = trial.rescore.lm if trial.rescore else trial.lm
        name = printable(lm.name) if lm else OWN_LM
        surfaces.setdefault(name, {}).setdefault(trial.point, trial.wer)  # of all others the best
    labels = LABELS if best.rescore else best.kind.labels
    atomic_write(folder / "surface.png", draw_surfaces(surfaces, *labels))


def _table(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """Return the head and a row for each trial."""
    again = (*AXES, "rescore") if trials[0].rescore else ()
    return [(*_RATES, *trials[0].kind.shown, "lm", *again), *(trial.cells() for trial in trials)]
