"""The background model of ``features=fmllr adapt=ubm``: trained once for each corpus and setting, kept beside it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import Config, as_dict
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import DataError
from asr_ligru.features.cmvn import CmvnStats
from asr_ligru.hmm import ubm
from asr_ligru.hmm.frontend import UbmFrontend, unadapted
from asr_ligru.hmm.ubm import Progress, Ubm, UbmOptions
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety.sealed import open_sealed, seal_folder, sweep
from asr_ligru.typing import Utterance

log = logging.getLogger(__name__)

FORMAT = 1
_SEAL = "ubm.json"
_MODEL = "model.safetensors"


def ubm_frontend(config: Config, utterances: Sequence[Utterance], watch: Callable[[Progress], object]) -> UbmFrontend:
    """Return the front end of a run with its background model, which is trained when there is none yet.

    Two processes that train the same do it one after the other: the second finds what the first has made.

    Args:
        config: of the run.
        utterances: of its training set; their texts are not read.
        watch: called after each update.

    Raises:
        ConfigError: as ``FmllrFrontend``.
        DataError: an utterance without speaker, nothing to train on, or a model on disk that was altered.
    """
    UbmFrontend(config.features, config.adapt)  # refuses what cannot be before minutes are spent
    if not all(u.speaker for u in utterances):
        fix = "give each line of the manifest a speaker, or use features=mfcc"
        raise DataError("features=fmllr: training utterances without speaker", fix=fix)
    features = replace(config.features, name="mfcc")
    options = UbmOptions(
        **{key: value for key, value in as_dict(config.adapt).items() if key not in ("name", "passes")}
    )
    heard = [[u.utt_id, u.speaker, u.offset_s, u.duration_s] for u in utterances]
    settings = [FORMAT, as_dict(features), as_dict(replace(config.adapt, passes=1)), heard]
    folder = Path(config.corpus.dir) / "fmllr" / f"ubm-{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]}"
    with ranks.held(folder, lambda holder: log.info("waiting for %s, which trains the same in %s", holder, folder)):
        model = _read(folder / "model")
        if not all(ranks.gathered(model is not None)):
            if ranks.is_first():
                sweep(folder)
            source = FeatureSource(
                features, config.corpus, Path(config.corpus.dir) / "features" if features.cache else None
            )
            model = ubm.train(_speakers(utterances, source), options, watch)
            if ranks.is_first():
                seal_folder(folder / "model", {_MODEL: pack(model.tensors())}, seal=_SEAL, format=FORMAT, head={})
    return UbmFrontend(config.features, config.adapt, model)


def _read(folder: Path) -> Ubm | None:
    if not folder.is_dir():
        return None
    open_sealed(folder, seal=_SEAL, format=FORMAT)
    return Ubm.load(unpack(folder / _MODEL))


@dataclass(frozen=True)
class _Speaker:
    """The frames of a speaker, read anew each time: those of all speakers may be more than the memory holds."""

    utterances: list[Utterance]
    source: FeatureSource
    mean: CmvnStats

    def __iter__(self) -> Iterator[Tensor]:
        for utterance in self.utterances:
            yield unadapted(self.mean.normalize(self.source.raw(utterance), variance=False))


def _speakers(utterances: Sequence[Utterance], source: FeatureSource) -> list[_Speaker]:
    """Group the utterances that can be read; the scan of the training set records the others."""
    means: dict[str, CmvnStats] = {}
    readable: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        try:
            stats = CmvnStats.of(source.raw(utterance))
        except DataError:
            continue
        means[utterance.speaker] = means[utterance.speaker] + stats if utterance.speaker in means else stats
        readable.setdefault(utterance.speaker, []).append(utterance)
    return [_Speaker(found, source, means[speaker]) for speaker, found in readable.items()]
