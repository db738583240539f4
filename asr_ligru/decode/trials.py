"""What was tried in tuning: one combination of weights, the table of them, and the files they are kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_ligru.decode.beam.settings import BeamFile, BeamSettings, write_settings
from asr_ligru.safety import atomic_write, printable
from asr_ligru.score.surface import draw_surfaces
from asr_ligru.score.wer import Scores

SETTINGS = "decode.json"
_HEAD = ("wer", "cer", "word_errors", "words", "lm_weight", "word_bonus", "unknown_penalty", "beam_size", "lm")


@dataclass(frozen=True)
class Trial:
    """How well one combination did.

    Attributes:
        lm: the ARPA file.
        settings: the weights.
        scores: of the development set.
    """

    lm: Path
    settings: BeamSettings
    scores: Scores

    @property
    def rank(self) -> tuple[float, ...]:
        """What is smaller for the better one: word errors, character errors, and the weaker language model."""
        return (self.scores.words.errors, self.scores.chars.errors, self.settings.lm_weight)

    @property
    def wer(self) -> float:
        """Word error rate, percent; 0 without reference words."""
        return 100.0 * (self.scores.words.rate or 0.0)

    @property
    def cer(self) -> float:
        """Character error rate, percent; 0 without reference characters."""
        return 100.0 * (self.scores.chars.rate or 0.0)

    def cells(self) -> tuple[str, ...]:
        """Return the trial as a row of a table."""
        words, s = self.scores.words, self.settings
        weights = (s.lm_weight, s.word_bonus, s.unknown_penalty, s.beam_size)
        rates = (f"{self.wer:.2f}", f"{self.cer:.2f}", str(words.errors), str(words.ref))
        return (*rates, *(f"{weight:g}" for weight in weights), printable(str(self.lm)))


def render_trials(trials: Sequence[Trial]) -> str:
    """Return a table for the terminal."""
    rows = [_HEAD, *(trial.cells() for trial in trials)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
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
    rows = [_HEAD, *(trial.cells() for trial in trials)]
    atomic_write(folder / "trials.tsv", "".join("\t".join(row) + "\n" for row in rows))
    best = trials[0]
    tuned = {"split": split, "wer": round(best.wer, 4), "cer": round(best.cer, 4), "trials": len(trials)}
    write_settings(folder / SETTINGS, BeamFile(best.settings, best.lm, tuned))
    surfaces: dict[str, dict[tuple[float, float], float]] = {}
    for trial in trials:
        point = trial.settings.lm_weight, trial.settings.word_bonus
        surfaces.setdefault(printable(trial.lm.name), {}).setdefault(point, trial.wer)  # of penalties the best
    atomic_write(folder / "surface.png", draw_surfaces(surfaces, "weight of the language model", "word bonus"))
