"""The weights of a beam search, and the file they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_ligru.config import as_dict, build, ranged
from asr_ligru.errors import DataError
from asr_ligru.safety import atomic_write, json_text, printable, read_json, sha256_file

FORMAT = 1


@dataclass(frozen=True)
class BeamSettings:
    """What a beam search weighs and how far it looks; scores are natural logarithms."""

    lm_weight: float = ranged(0.5, 0.0, 100.0)  # on the language model's log probabilities
    word_bonus: float = ranged(1.0, -100.0, 100.0)  # added for each word
    unknown_penalty: float = ranged(10.0, 0.0, 1000.0)  # taken for each word that the language model does not have
    hot_word_bonus: float = ranged(5.0, -100.0, 100.0)  # added for each hot word
    beam_size: int = ranged(32, 1, 10_000)  # readings kept at each frame
    beam_threshold: float = ranged(10.0, 0.0, 1000.0)  # how far behind the best a reading may be
    token_threshold: float = ranged(5.0, 0.0, 1000.0)  # a token is tried where its probability is above exp(-it)


@dataclass(frozen=True)
class BeamFile:
    """What ``write_settings`` was given.

    Attributes:
        settings: the weights.
        lm: the ARPA file they belong to, or None.
        tuned: how they were found, JSON values.
    """

    settings: BeamSettings
    lm: Path | None
    tuned: dict[str, Any]


def write_settings(path: Path, file: BeamFile) -> None:
    """Write settings as JSON; the language model is named relative to the file and by its SHA-256.

    Raises:
        EnvironmentError_: the file cannot be written.
    """
    body: dict[str, Any] = {"format": FORMAT, "decoder": "beam", "settings": as_dict(file.settings)}
    if file.lm is not None:
        where = file.lm.resolve()
        folder = path.parent.resolve()
        name = where.relative_to(folder) if where.is_relative_to(folder) else where
        body["lm"] = {"path": str(name), "sha256": sha256_file(where)}
    atomic_write(path, json_text({**body, "tuned": file.tuned}) + "\n")


def read_settings(path: Path) -> BeamFile:
    """Read what ``write_settings`` wrote.

    Raises:
        DataError: not such a file, or its language model is gone or another one now.
        ConfigError: a setting unknown or out of range.
    """
    body = read_json(path)
    if not isinstance(body, dict) or body.get("decoder") != "beam" or body.get("format") != FORMAT:
        raise _bad(path, f"not settings of a beam search of format {FORMAT}")
    settings, lm, tuned = body.get("settings"), body.get("lm"), body.get("tuned", {})
    if not isinstance(settings, dict) or not isinstance(tuned, dict):
        raise _bad(path, "damaged settings of a beam search")
    found = None
    if lm is not None:
        if not isinstance(lm, dict) or not all(isinstance(lm.get(key), str) for key in ("path", "sha256")):
            raise _bad(path, "damaged settings of a beam search: lm")
        found = path.parent / lm["path"]
        if not found.is_file() or sha256_file(found) != lm["sha256"]:
            state = "is not the one they were tuned with" if found.is_file() else "is not there"
            raise _bad(path, f"the language model of these settings {state}: {printable(str(found))}")
    return BeamFile(build(BeamSettings, settings), found, tuned)


def _bad(path: Path, what: str) -> DataError:
    return DataError(what, where=printable(str(path)), fix="write them again: asr-ligru tune MODEL --lm FILE")
