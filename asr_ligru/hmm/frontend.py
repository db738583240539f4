"""Features adapted to the speaker as a front end: what ``features=fmllr`` gives a network.

Cepstra lose their speaker's mean, are spliced and projected, moved by the speaker's transform, and normalised in mean
and variance by speaker. The GMM-HMM that all of it needs is state of the front end, so a model folder carries it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from asr_ligru.config import AdaptConfig, FeaturesConfig, StreamsConfig
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.cmvn import CmvnStats
from asr_ligru.features.deltas import add_deltas
from asr_ligru.features.fmllr import apply, compose
from asr_ligru.features.frontend import Frontend
from asr_ligru.features.splice import splice
from asr_ligru.features.streams import with_streams
from asr_ligru.hmm.speakers import Speakers
from asr_ligru.hmm.system import System
from asr_ligru.hmm.ubm import Ubm
from asr_ligru.text.lexicon import Lexicon

_PREFIX = "hmm."
_JSON = "hmm_json"
_UBM_PREFIX = "ubm."
_UBM_DELTAS = 2
_COMPLETE = "use the complete model folder, or train again"


def make_frontend(
    config: FeaturesConfig, streams: StreamsConfig | None = None, adapt: AdaptConfig | None = None
) -> Frontend:
    """Return the front end of these features, without its state.

    Args:
        config: the features.
        streams: others beside them.
        adapt: what fMLLR features are adapted to.
    """
    if config.name != "fmllr":
        first = Frontend(config)
    elif adapt is not None and adapt.name == "ubm":
        first = UbmFrontend(config, adapt)
    else:
        first = FmllrFrontend(config)
    return with_streams(first, streams or StreamsConfig())


def unadapted(base: Tensor) -> Tensor:
    """Return what a background model reads: cepstra (T, F) less their speaker's mean, and their differences."""
    return add_deltas(base, _UBM_DELTAS)


class FmllrFrontend(Frontend):
    """Adapts features to their speaker.

    Transforms of the training speakers come from the training of the GMM-HMM, by their texts; those of others from
    what it recognises, in two passes, with all of a speaker's utterances that ``add_speakers`` gets together. An
    utterance without speaker is one of its own.

    Args:
        config: cepstra, and what follows the transform: normalisation ("speaker" or "none"), differences, splicing.
        system: the GMM-HMM; or ``load_state_dict`` brings it.
        transforms: (D, D + 1) of the training speakers.

    Raises:
        ConfigError: another kind of normalisation.
    """

    def __init__(
        self, config: FeaturesConfig, system: System | None = None, transforms: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__(config)
        if config.cmvn not in ("speaker", "none"):
            raise ConfigError(f"features=fmllr with features.cmvn={config.cmvn}", fix="features.cmvn=speaker or none")
        self._trained = dict(transforms or {})
        self._means: dict[str, CmvnStats] = {}
        self._transforms: dict[str, Tensor] = {}
        self._found: System | None = None
        if system is not None:
            self._take(system)

    @property
    def needs_fit(self) -> bool:
        """Always: every speaker's features are read before the first is used."""
        return True

    def fit(self, corpus: Iterable[tuple[str, Tensor]]) -> None:
        """Normalise the training speakers, whose transforms are known.

        Args:
            corpus: speaker id and cepstra (T, raw_size) of each utterance, at normal speed.

        Raises:
            DataError: an utterance without speaker.
        """
        utterances = list(corpus)
        if not all(speaker for speaker, _ in utterances):
            fix = "give each line of the manifest a speaker, or use features=mfcc"
            raise DataError("features=fmllr: training utterances without speaker", fix=fix)
        self._add(utterances, self._trained)

    def add_speakers(self, corpus: Iterable[tuple[str, Tensor]]) -> None:
        """Adapt to the speakers of another set by what is recognised.

        Args:
            corpus: as for ``fit``; utterances without a speaker are passed over.
        """
        self._add([(speaker, raw) for speaker, raw in corpus if speaker], {})

    def __call__(self, raw: Tensor, speaker: str = "") -> Tensor:
        """Return what the model reads of one utterance; one of an unknown speaker is adapted to alone.

        Args:
            raw: (T, raw_size) float32 cepstra, T >= 1.
            speaker: who speaks; empty when unknown.

        Returns:
            (T, size) float32.

        Raises:
            DataError: the features have another size, or there is no GMM-HMM.
        """
        if raw.shape[1] != self.raw_size:
            raise DataError(f"expected {self.raw_size} raw features in a frame, got {raw.shape[1]}")
        mean, transform = self._means.get(speaker), self._transforms.get(speaker)
        if mean is None or transform is None:
            mean = CmvnStats.of(raw)
            transform = self._estimate([("", raw)], {"": mean}, {})[""]
        (feats,) = self._project([mean.normalize(raw, variance=False)])
        context = self.config.splice
        return splice(add_deltas(apply(transform, feats), self.config.deltas), context, context)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the GMM-HMM as tensors; its words and settings are the bytes of a JSON text."""
        lexicon = [[word, list(phones)] for word, phones in self._system.vocabulary.lexicon]
        text = json.dumps({**self._system.head(), "lexicon": lexicon})
        tensors = {f"{_PREFIX}{name}": tensor for name, tensor in self._system.tensors().items()}
        return {**tensors, _JSON: torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state_dict`` returned.

        Raises:
            DataError: there is no GMM-HMM in it, or its parts do not fit together.
        """
        if _JSON not in state:
            raise DataError("no GMM-HMM for features=fmllr", fix=_COMPLETE)
        try:
            head = json.loads(state[_JSON].numpy().tobytes())
            entries: dict[str, list[tuple[str, ...]]] = {}
            for word, phones in head["lexicon"]:
                entries.setdefault(word, []).append(tuple(phones))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError("the words of the GMM-HMM cannot be read", fix="train again") from error
        tensors = {name.removeprefix(_PREFIX): t for name, t in state.items() if name.startswith(_PREFIX)}
        self._take(System.of(head, Lexicon(entries), tensors))

    def _take(self, system: System) -> None:
        projection = system.trained.projection
        if projection is None or projection.shape[1] != self.raw_size * (2 * system.config.lda_context + 1):
            raise DataError(f"the GMM-HMM was not trained on {self.raw_size} cepstra", fix="train again")
        self._found = system
        self.inner_size = len(projection)
        self.size = self.inner_size * (self.config.deltas + 1) * (2 * self.config.splice + 1)

    @property
    def _system(self) -> System:
        if self._found is None:
            raise DataError("no GMM-HMM for features=fmllr", fix=_COMPLETE)
        return self._found

    def _project(self, base: Sequence[Tensor]) -> list[Tensor]:
        """Return what transforms are estimated on and move, of each utterance."""
        return self._system.project(base)

    def _adapt(self, feats: Sequence[Tensor], speakers: Speakers) -> Tensor:
        """Return the transforms (S, D, D + 1) of speakers whose words are not known."""
        return self._system.adapt(feats, speakers, self._system.recognised).transforms

    def _add(self, utterances: Sequence[tuple[str, Tensor]], known: Mapping[str, Tensor]) -> None:
        """Take means and transforms of the speakers of ``utterances``; those in ``known`` are not estimated."""
        means: dict[str, CmvnStats] = {}
        for speaker, raw in utterances:
            stats = CmvnStats.of(raw)
            means[speaker] = means[speaker] + stats if speaker in means else stats
        self._means.update(means)
        if means:
            self._transforms.update(self._estimate(utterances, means, known))

    def _estimate(
        self, utterances: Sequence[tuple[str, Tensor]], means: Mapping[str, CmvnStats], known: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the transform of each speaker, normalisation of what it gives included."""
        names = [speaker for speaker, _ in utterances]
        feats = self._project([means[speaker].normalize(raw, variance=False) for speaker, raw in utterances])
        asked = [i for i, speaker in enumerate(names) if speaker not in known]
        found = dict(known)
        if asked:
            speakers = Speakers.of(["unknown"] * len(asked), [names[i] for i in asked])
            transforms = self._adapt([feats[i] for i in asked], speakers)
            found |= {names[i]: transforms[s] for i, s in zip(asked, speakers.of_utterance, strict=True)}
        if self.config.cmvn == "none":
            return {speaker: found[speaker] for speaker in means}
        totals: dict[str, CmvnStats] = {}
        for speaker, frames in zip(names, feats, strict=True):
            stats = CmvnStats.of(apply(found[speaker], frames))
            totals[speaker] = totals[speaker] + stats if speaker in totals else stats
        variance = self.config.cmvn_variance
        return {s: compose(_normalisation(total, variance), found[s]) for s, total in totals.items()}


class UbmFrontend(FmllrFrontend):
    """Adapts features to their speaker by a background model: no transcript is needed, and nothing is recognised.

    Training speakers are adapted to as others are.

    Args:
        config: as for ``FmllrFrontend``.
        adapt: how new speakers are adapted to.
        model: the background model; or ``load_state_dict`` brings it.

    Raises:
        ConfigError: another kind of normalisation.
    """

    def __init__(self, config: FeaturesConfig, adapt: AdaptConfig, model: Ubm | None = None) -> None:
        super().__init__(config)
        self._passes = adapt.passes
        self._ubm = model
        self.inner_size = self.raw_size * (_UBM_DELTAS + 1)
        self.size = self.inner_size * (config.deltas + 1) * (2 * config.splice + 1)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors of the background model."""
        return {f"{_UBM_PREFIX}{name}": tensor for name, tensor in self._model.tensors().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state_dict`` returned.

        Raises:
            DataError: there is no background model in it, or one of other features.
        """
        tensors = {name.removeprefix(_UBM_PREFIX): t for name, t in state.items() if name.startswith(_UBM_PREFIX)}
        sizes = [(n, self.inner_size) for n in tensors.get("weights", torch.empty(0)).shape]
        fits = sizes and all(tensors[name].shape == sizes[0] for name in ("means", "inv_vars") if name in tensors)
        if not fits or not {"means", "inv_vars"} <= tensors.keys():
            raise DataError(f"no background model of {self.inner_size} features", fix=_COMPLETE)
        self._ubm = Ubm.load(tensors)

    @property
    def _model(self) -> Ubm:
        if self._ubm is None:
            raise DataError("no background model for features=fmllr adapt=ubm", fix=_COMPLETE)
        return self._ubm

    def _project(self, base: Sequence[Tensor]) -> list[Tensor]:
        return [unadapted(frames) for frames in base]

    def _adapt(self, feats: Sequence[Tensor], speakers: Speakers) -> Tensor:
        frames = [[feats[i] for i in utterances] for utterances in speakers.utterances()]
        return self._model.adapt(frames, self._passes).transforms


def _normalisation(stats: CmvnStats, variance: bool) -> Tensor:
    """Return the normalisation by statistics as a transform (D, D + 1)."""
    dim = stats.table.shape[1] - 1
    points = torch.cat([torch.zeros(1, dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64)])
    offset, *corners = stats.normalize(points, variance=variance).unbind()
    return torch.cat([torch.stack(corners).T - offset[:, None], offset[:, None]], 1)
