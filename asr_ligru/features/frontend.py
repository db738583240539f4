"""From raw features to what a model reads: normalisation, then differences, then splicing (Kaldi's order)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import DataError
from asr_ligru.features.cmvn import CmvnStats
from asr_ligru.features.deltas import add_deltas
from asr_ligru.features.extract import FeatureExtractor
from asr_ligru.features.splice import splice

_GLOBAL = "cmvn.global"


class Frontend:
    """Normalise raw features and add their context.

    Statistics come, by ``config.cmvn``, from the utterance itself, from all utterances of its speaker, or from the
    training set. Those of the training set belong to the model and are its state. Those of speakers belong to a corpus
    and are computed from it; a speaker who was not seen is normalised with the utterance's own.

    Args:
        config: the features.

    Attributes:
        config: the features.
        parts: what it is made of: itself, or several.
        extract: the extractor of the raw features.
        raw_size: features in a frame that comes in.
        inner_size: features before differences and splicing.
        size: F, features in a frame that goes out.
    """

    def __init__(self, config: FeaturesConfig) -> None:
        self.config = config
        self.parts: tuple[Frontend, ...] = (self,)
        extractor = FeatureExtractor(config)
        self.extract: Callable[[Tensor], Tensor] = extractor
        self.raw_size = self.inner_size = extractor.raw_size
        self.size = self.raw_size * (config.deltas + 1) * (2 * config.splice + 1)
        self._global: CmvnStats | None = None
        self._speakers: dict[str, CmvnStats] = {}

    @property
    def needs_fit(self) -> bool:
        """Whether ``fit`` has to be called before training."""
        return self.config.cmvn in ("speaker", "global")

    def fit(self, corpus: Iterable[tuple[str, Tensor]]) -> None:
        """Take the statistics from the training set; reads nothing unless ``needs_fit``.

        Args:
            corpus: speaker id and raw features (T, raw_size) of each utterance, at normal speed.

        Raises:
            DataError: the set is empty.
        """
        if self.config.cmvn == "speaker":
            self.add_speakers(corpus)
        elif self.config.cmvn == "global":
            per_utterance = (CmvnStats.of(raw) for _, raw in corpus)
            total = next(per_utterance, None)
            if total is None:
                raise DataError("no features to take global CMVN statistics from")
            self._global = sum(per_utterance, start=total)

    def add_speakers(self, corpus: Iterable[tuple[str, Tensor]]) -> None:
        """Take the statistics of each speaker of another set; reads nothing unless they are needed.

        Args:
            corpus: as for ``fit``. Speakers known before are taken anew; utterances without a speaker are passed over.
        """
        if self.config.cmvn != "speaker":
            return
        found: dict[str, CmvnStats] = {}
        for speaker, raw in corpus:
            if speaker:
                stats = CmvnStats.of(raw)
                found[speaker] = found[speaker] + stats if speaker in found else stats
        self._speakers.update(found)

    def __call__(self, raw: Tensor, speaker: str = "") -> Tensor:
        """Return what the model reads of one utterance.

        Args:
            raw: (T, raw_size) float32, T >= 1, from ``extract``.
            speaker: who speaks; empty when unknown.

        Returns:
            (T, size) float32.

        Raises:
            DataError: the features have another size, or global statistics are needed and there are none.
        """
        if raw.shape[1] != self.raw_size:
            raise DataError(f"expected {self.raw_size} raw features in a frame, got {raw.shape[1]}")
        feats = add_deltas(self._normalized(raw, speaker), self.config.deltas)
        return splice(feats, self.config.splice, self.config.splice)

    def _normalized(self, raw: Tensor, speaker: str) -> Tensor:
        if self.config.cmvn == "none":
            return raw
        if self.config.cmvn == "global":
            if self._global is None:
                raise DataError("no global CMVN statistics", fix="use the complete model folder, or train again")
            stats = self._global
        else:
            stats = self._speakers.get(speaker) or CmvnStats.of(raw)
        return stats.normalize(raw, variance=self.config.cmvn_variance)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that belong into a model folder; empty unless CMVN is global."""
        return {} if self._global is None else {_GLOBAL: self._global.table.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state_dict`` returned.

        Raises:
            DataError: statistics are missing, or of other features.
        """
        if self.config.cmvn != "global":
            return
        table = state.get(_GLOBAL)
        if table is None or table.shape != (2, self.raw_size + 1):
            got = "none" if table is None else f"shape {tuple(table.shape)}"
            raise DataError(f"global CMVN statistics: expected shape {(2, self.raw_size + 1)}, got {got}")
        self._global = CmvnStats(table.double().clone())
