"""From an utterance to normalised features: audio, extraction, disk cache, normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.config import CorpusConfig, FeaturesConfig
from asr_ligru.data import audio
from asr_ligru.data.distort import NO_CHANGES, Changes
from asr_ligru.errors import DataError
from asr_ligru.features.augment import change_speed
from asr_ligru.features.cache import FeatureCache, cache_key
from asr_ligru.features.frontend import Frontend
from asr_ligru.safety.memory import memory_errors
from asr_ligru.typing import BadUtterance, Utterance


@dataclass
class FeatureSource:
    """Where the features of a corpus come from.

    Attributes:
        config: which features.
        corpus: how its audio is read.
        cache_dir: folder of cached raw features; None for none.
        frontend: the normalisation, the one of ``config`` when omitted; fitted by ``scan`` where it needs statistics.
    """

    config: FeaturesConfig
    corpus: CorpusConfig
    cache_dir: Path | None = None
    frontend: Frontend = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.frontend = self.frontend or Frontend(self.config)
        self._cache = FeatureCache(self.cache_dir) if self.cache_dir is not None else None

    def feats(self, utterance: Utterance, speed: float = 1.0, changes: Changes = NO_CHANGES) -> Tensor:
        """Return (T, F) normalised features, spoken ``speed`` times as fast and changed.

        Raises:
            DataError: the audio cannot be used.
        """
        return self.frontend(self.raw(utterance, speed, changes), utterance.speaker)

    def raw(self, utterance: Utterance, speed: float = 1.0, changes: Changes = NO_CHANGES) -> Tensor:
        """Return (T, F') features before normalisation, from the cache when it can have them."""
        fix = "lower corpus.max_seconds, or cut the utterance into pieces"
        with memory_errors(f"reading {utterance.duration_s:.0f} s of audio", utterance.utt_id, fix):
            if changes:
                wav = changes(change_speed(self._wav(utterance), speed), self.config.sample_rate_hz)
                return self._joined([part.extract(wav) for part in self.frontend.parts])
            return self._joined([self._raw(part, utterance, speed) for part in self.frontend.parts])

    @staticmethod
    def _joined(parts: list[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _raw(self, part: Frontend, utterance: Utterance, speed: float) -> Tensor:
        if self._cache is None or utterance.part:  # what is in archives need not fit on the disk twice
            return self._extract(part, utterance, speed)
        key = cache_key(
            part.config,
            utterance.audio_path,
            offset_s=utterance.offset_s,
            duration_s=utterance.duration_s,
            speed=speed,
            channel=self.corpus.channel,
        )
        return self._cache.get_or_compute(key, lambda: self._extract(part, utterance, speed))

    def scan(
        self, utterances: Sequence[Utterance], fit: bool, tick: Callable[[], object] = lambda: None
    ) -> tuple[list[tuple[Utterance, int]], list[BadUtterance]]:
        """Read every utterance once: what is unusable is found before training, not in it.

        Several processes of a run read a part of them each.

        Args:
            utterances: what to read.
            fit: whether the normalisation's statistics are estimated from them.
            tick: called after each that this process reads, for a progress bar.

        Returns:
            the usable ones with their number of frames, and a record of each other.
        """
        found: list[int | str] = []
        for utterance in ranks.share(utterances):
            try:
                found.append(len(self.raw(utterance)))
            except DataError as error:
                found.append(error.what)
            tick()
        good: list[tuple[Utterance, int]] = []
        bad: list[BadUtterance] = []
        for utterance, result in zip(utterances, ranks.dealt(ranks.gathered(found)), strict=True):
            if isinstance(result, int):
                good.append((utterance, result))
            else:
                bad.append(BadUtterance(utterance.utt_id, "audio", result, str(utterance.audio_path)))
        use = self.frontend.fit if fit else self.frontend.add_speakers
        use((utterance.speaker, self.raw(utterance)) for utterance, _ in good)
        return good, bad

    def _extract(self, part: Frontend, utterance: Utterance, speed: float) -> Tensor:
        return part.extract(change_speed(self._wav(utterance), speed))

    def _wav(self, utterance: Utterance) -> Tensor:
        return audio.read(
            utterance.audio_path,
            offset_s=utterance.offset_s,
            duration_s=utterance.duration_s,
            sample_rate_hz=self.config.sample_rate_hz,
            resample=self.corpus.resample,
            channel=self.corpus.channel,
            max_seconds=self.corpus.max_seconds,
            part=utterance.part,
        )
