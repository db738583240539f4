"""All stages one after another, each begun only if it was not finished before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from asr_ligru import ranks
from asr_ligru.config import FeaturesConfig, HmmConfig, as_dict
from asr_ligru.errors import DataError
from asr_ligru.hmm.material import Material
from asr_ligru.hmm.stages import ITERATIONS, Trained, train_lda_mllt, train_mono, train_sat, train_tri
from asr_ligru.hmm.store import FORMAT, read_stage, topology_json, write_stage
from asr_ligru.hmm.train import Watch
from asr_ligru.safety import printable
from asr_ligru.safety.sealed import sweep

_SETTINGS = {  # the settings that a stage adds to those of the stages before
    "mono": ("mono_",),
    "tri": ("tri_",),
    "lda_mllt": ("lda_",),
    "sat": ("sat_", "identity_", "full_"),
}
_Run = Callable[[Material, HmmConfig, int, Watch], Trained]


def train_chain(
    folder: Path,
    material: Material,
    features: FeaturesConfig,
    config: HmmConfig,
    seed: int,
    watch: Watch,
    finished: Callable[[str, Trained], object] = lambda name, trained: None,
) -> Trained:
    """Train all stages, or go on where an earlier call was stopped; of several processes the first writes.

    Args:
        folder: gets a folder for each finished stage. One that was made from other data or settings is made anew, and
            so are those after it.
        material: what to train on.
        features: that its cepstra were made with.
        config: sizes of the models.
        seed: of all that is random.
        watch: called after each iteration.
        finished: called with each stage's name and model, also of those found on disk.

    Returns:
        The last stage.

    Raises:
        DataError: a stage on disk was altered.
        EnvironmentError_: disk full or not writable.
    """
    if ranks.is_first():
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
    key = _hash([FORMAT, as_dict(features), seed, _describe(material)])
    trained: Trained | None = None
    for name in ITERATIONS:
        key = _hash([key, {k: v for k, v in as_dict(config).items() if k.startswith(_SETTINGS[name])}])
        found = read_stage(folder / name, key)
        if not all(ranks.gathered(found is not None)):
            found = _stage(name, trained)(material, config, seed, watch)
            if ranks.is_first():
                write_stage(folder / name, found, key)
        assert found is not None
        _check_fit(found, material, folder / name)
        finished(name, found)
        trained = found
    assert trained is not None
    return trained


def _check_fit(stage: Trained, material: Material, folder: Path) -> None:
    lengths = [len(frames) for frames in material.base]
    pairs = zip(stage.alignments, lengths, strict=False)
    if len(stage.alignments) != len(lengths) or not all(a is None or a.fits(material.topology, n) for a, n in pairs):
        what = "the alignments of a stage of the GMM-HMM do not fit the utterances"
        raise DataError(what, where=printable(str(folder)), fix="delete that folder; it will be made again")


def _stage(name: str, before: Trained | None) -> _Run:
    if before is None:
        return train_mono
    run = {"tri": train_tri, "lda_mllt": train_lda_mllt, "sat": train_sat}[name]
    return partial(run, before=before)


def _describe(material: Material) -> list[Any]:
    """Return what training depends on, besides settings; ids, texts and lengths stand for the audio."""
    utterances = [
        [u.utt_id, u.speaker, u.text, len(frames)] for u, frames in zip(material.utterances, material.base, strict=True)
    ]
    near = [None if phones is None else phones.tolist() for phones in material.near]
    known = [near] if any(near) else []  # what was trained without any keeps its name
    return [topology_json(material.topology), utterances, material.transcripts, *known]


def _hash(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
