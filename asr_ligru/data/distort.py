"""Random changes to the samples of training data: tempo, rooms, noise, volume, codecs, telephone, in this order.

Each draws from random numbers of its own, so that switching one on leaves what the others do as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from torch import Tensor

from asr_ligru.config import AugmentConfig
from asr_ligru.data.codec import coded, telephoned
from asr_ligru.data.sounds import Sounds
from asr_ligru.errors import ConfigError
from asr_ligru.features.augment import generator
from asr_ligru.features.noise import with_gain, with_noise
from asr_ligru.features.rooms import reverberated, simulated
from asr_ligru.features.tempo import change_tempo
from asr_ligru.typing import BadUtterance

ROOMS = 100  # simulated ones in a run; each takes a tenth of a second to make

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Changes:
    """What happens to one utterance in one epoch.

    Attributes:
        tempo: factor.
        steps: applied to the samples one after another, afterwards.
    """

    tempo: float = 1.0
    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return self.tempo != 1.0 or bool(self.steps)

    def __call__(self, wav: Tensor, sample_rate_hz: int) -> Tensor:
        """Return the samples (M,) that become of ``wav`` (N,); M is ``tempo_samples(N, tempo)``."""
        wav = change_tempo(wav, self.tempo, sample_rate_hz)
        for step in self.steps:
            wav = step(wav)
        return wav


NO_CHANGES = Changes()


class Distortion:
    """Draws the changes of each utterance.

    Args:
        config: which changes, and how often.
        sample_rate_hz: of the samples.
        seed: of the run.

    Attributes:
        bad: a record of each noise and impulse response that cannot be used.

    Raises:
        ConfigError: noise without a folder of it, or no such folder.
        DataError: a folder without usable recordings.
        EnvironmentError_: rooms cannot be simulated here.
    """

    def __init__(self, config: AugmentConfig, sample_rate_hz: int, seed: int) -> None:
        self._config, self._rate_hz, self._seed = config, sample_rate_hz, seed
        self._noises = self._responses = None
        if config.noise_prob and not config.noise_dir:
            what = f"train.augment.noise_prob={config.noise_prob} without noises"
            raise ConfigError(what, fix="train.augment.noise_dir=FOLDER")
        if config.noise_prob:
            folder, key = Path(config.noise_dir), "train.augment.noise_dir"
            self._noises = Sounds(folder, sample_rate_hz, glob=config.noise_glob, key=key)
        if config.room_prob and config.room_dir:
            self._responses = Sounds(Path(config.room_dir), sample_rate_hz, channel="0", key="train.augment.room_dir")
        elif config.room_prob:
            _room(seed, 0, sample_rate_hz, config.room_rt60_s)
        self.bad: list[BadUtterance] = [b for sounds in (self._noises, self._responses) if sounds for b in sounds.bad]

    def draw(self, epoch: int, utt_id: str) -> Changes:
        """Return what happens to an utterance in an epoch."""

        def rng(purpose: str) -> np.random.Generator:
            return generator(self._seed, epoch, utt_id, purpose)

        config = self._config
        tempo = config.tempo[rng("tempo").integers(len(config.tempo))] if config.tempo else 1.0
        found = (
            self._room(rng("room")),
            self._noise(rng("noise"), partial(rng, "stretch of noise")),
            self._volume(rng("volume")),
            self._codec(rng("codec")),
            self._telephone(rng("telephone")),
        )
        return Changes(tempo, tuple(step for step in found if step is not None))

    def _room(self, rng: np.random.Generator) -> Step | None:
        if rng.random() >= self._config.room_prob:
            return None
        if self._responses is not None:
            response = self._responses.whole(rng)
        else:
            response = _room(self._seed, int(rng.integers(ROOMS)), self._rate_hz, self._config.room_rt60_s)
        return lambda wav: reverberated(wav, response)

    def _noise(self, rng: np.random.Generator, of_stretch: Callable[[], np.random.Generator]) -> Step | None:
        noises = self._noises
        if noises is None or rng.random() >= self._config.noise_prob:
            return None
        snr_db = _uniform(rng, self._config.noise_snr_db)
        return lambda wav: with_noise(wav, noises.stretch(of_stretch(), len(wav)), snr_db)

    def _volume(self, rng: np.random.Generator) -> Step | None:
        if not self._config.volume_db:
            return None
        gain_db = _uniform(rng, self._config.volume_db)
        return lambda wav: with_gain(wav, gain_db)

    def _codec(self, rng: np.random.Generator) -> Step | None:
        if not self._config.codecs or rng.random() >= self._config.codec_prob:
            return None
        level = _uniform(rng, self._config.codec_level)
        name = self._config.codecs[rng.integers(len(self._config.codecs))]
        return lambda wav: coded(wav, self._rate_hz, name, level)

    def _telephone(self, rng: np.random.Generator) -> Step | None:
        if rng.random() >= self._config.telephone_prob:
            return None
        return lambda wav: telephoned(wav, self._rate_hz)


def _uniform(rng: np.random.Generator, span: tuple[float, ...]) -> float:
    low, high = span
    return float(rng.uniform(low, high))


@lru_cache(maxsize=ROOMS)
def _room(seed: int, number: int, sample_rate_hz: int, rt60_s: tuple[float, ...]) -> Tensor:
    """Return the impulse response of one of a run's simulated rooms."""
    return simulated(generator(seed, 0, str(number), "simulated room"), sample_rate_hz, rt60_s)


def distortion_of(config: AugmentConfig, sample_rate_hz: int, seed: int) -> Distortion | None:
    """Return what draws the changes that ``config`` asks for; None where it asks for none."""
    asked = (config.noise_prob, config.room_prob, config.codec_prob, config.telephone_prob)
    if not any(asked) and not config.tempo and not config.volume_db:
        return None
    return Distortion(config, sample_rate_hz, seed)
