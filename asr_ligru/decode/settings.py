"""What a search weighs, and the file that keeps it: written by ``asr-ligru tune``, read by ``decode``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_ligru.config import as_dict, build
from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.rescore import RescoreSettings, Rescoring
from asr_ligru.decode.wfst.decoder import SearchOptions
from asr_ligru.errors import DataError
from asr_ligru.lm.model import SEAL, lm_folder
from asr_ligru.safety import atomic_write, json_text, printable, read_json, sha256_file

FORMAT = 1

Settings = BeamSettings | SearchOptions


@dataclass(frozen=True)
class Kind:
    """One kind of settings.

    Attributes:
        settings: the dataclass.
        axes: the two weights that a picture shows.
        labels: what they are called there.
        shown: the columns of a table.
        distrust: of settings, what is smaller where the language model counts for less.
    """

    settings: type[Settings]
    axes: tuple[str, str]
    labels: tuple[str, str]
    shown: tuple[str, ...]
    distrust: Callable[[Any], float]


KINDS = {
    "beam": Kind(
        BeamSettings,
        ("lm_weight", "word_bonus"),
        ("weight of the language model", "word bonus"),
        ("lm_weight", "word_bonus", "unknown_penalty", "beam_size"),
        lambda settings: float(settings.lm_weight),
    ),
    "wfst": Kind(
        SearchOptions,
        ("acoustic_scale", "word_score"),
        ("acoustic scale", "word score"),
        ("acoustic_scale", "word_score", "blank_penalty", "beam"),
        lambda settings: -float(settings.acoustic_scale),
    ),
}


@dataclass(frozen=True)
class SettingsFile:
    """What ``write_settings`` was given.

    Attributes:
        settings: the weights.
        lm: the ARPA file they belong to; None for none, or the model's own.
        lexicon: the words they belong to; None as for ``lm``.
        tuned: how they were found, JSON values.
        rescore: what scores the readings again; None for nothing.
    """

    settings: Settings
    lm: Path | None = None
    lexicon: Path | None = None
    tuned: dict[str, Any] | None = None
    rescore: Rescoring | None = None

    @property
    def decoder(self) -> str:
        """The name of the decoder they are for."""
        return name_of(self.settings)


def name_of(settings: Settings) -> str:
    """Return the name of the decoder that settings are for."""
    return next(name for name, kind in KINDS.items() if isinstance(settings, kind.settings))


def write_settings(path: Path, file: SettingsFile) -> None:
    """Write settings as JSON; files are named relative to it and by their SHA-256.

    Raises:
        EnvironmentError_: the file cannot be written.
    """
    body: dict[str, Any] = {"format": FORMAT, "decoder": file.decoder, "settings": as_dict(file.settings)}
    for key, named in (("lm", file.lm), ("lexicon", file.lexicon)):
        if named is not None:
            body[key] = _entry(path, named)
    if file.rescore is not None:
        seal = lm_folder(file.rescore.lm) / SEAL
        body["rescore"] = {**_entry(path, seal), "settings": as_dict(file.rescore.settings)}
    atomic_write(path, json_text({**body, "tuned": file.tuned or {}}) + "\n")


def _entry(path: Path, named: Path) -> dict[str, str]:
    """Return what settings in ``path`` say of a file."""
    where, folder = named.resolve(), path.parent.resolve()
    name = where.relative_to(folder) if where.is_relative_to(folder) else where
    return {"path": str(name), "sha256": sha256_file(where)}


def read_settings(path: Path) -> SettingsFile:
    """Read what ``write_settings`` wrote.

    Raises:
        DataError: not such a file, or a file that it names is gone or another one now.
        ConfigError: a setting unknown or out of range.
    """
    try:
        body = read_json(path)
    except DataError as error:
        raise _bad(path, error.what) from error
    if not isinstance(body, dict) or body.get("decoder") not in KINDS or body.get("format") != FORMAT:
        raise _bad(path, f"not settings of a search of format {FORMAT}")
    settings, tuned = body.get("settings"), body.get("tuned", {})
    if not isinstance(settings, dict) or not isinstance(tuned, dict):
        raise _bad(path, "damaged settings of a search")
    lm, lexicon = (
        _named(path, body.get(key), what) for key, what in (("lm", "language model"), ("lexicon", "lexicon"))
    )
    built = build(KINDS[body["decoder"]].settings, settings)
    return SettingsFile(built, lm, lexicon, tuned, _rescoring(path, body.get("rescore")))


def _rescoring(path: Path, entry: Any) -> Rescoring | None:
    seal = _named(path, entry, "neural language model")
    if seal is None:
        return None
    if not isinstance(entry.get("settings"), dict):
        raise _bad(path, "damaged settings of a search: rescore")
    return Rescoring(seal.parent, build(RescoreSettings, entry["settings"]))


def _named(path: Path, entry: Any, what: str) -> Path | None:
    """Return a file that settings name, which is as it was; None where they name none."""
    if entry is None:
        return None
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("path", "sha256")):
        raise _bad(path, f"damaged settings of a search: {what}")
    found = path.parent / str(entry["path"])
    if not found.is_file() or sha256_file(found) != entry["sha256"]:
        state = "is not the one they were tuned with" if found.is_file() else "is not there"
        raise _bad(path, f"the {what} of these settings {state}: {printable(str(found))}")
    return found


def _bad(path: Path, what: str) -> DataError:
    return DataError(what, where=printable(str(path)), fix="write them again: asr-ligru tune MODEL --lm FILE")
