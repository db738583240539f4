"""How a configuration cuts a wav into frames and its spectrum into filters, and whether it can."""

from __future__ import annotations

from dataclasses import dataclass

from torchaudio.compliance.kaldi import get_mel_banks

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import ConfigError, DataError

# Kaldi's defaults: where VTLN begins to bend the frequency axis, and where it stops below the highest frequency.
VTLN_LOW_HZ = 100.0
VTLN_HIGH_OFFSET_HZ = -500.0


class TooShortError(DataError):
    """A wav that does not fill one window: the utterance has no features."""


@dataclass(frozen=True)
class Framing:
    """Frames that lie entirely inside the wav (Kaldi's ``snip-edges``).

    Attributes:
        window: samples in a frame, >= 2.
        shift: samples from one frame to the next, >= 1.
    """

    window: int
    shift: int

    @classmethod
    def of(cls, config: FeaturesConfig) -> Framing:
        """Return the framing of ``config``; parts of a sample are dropped, as Kaldi does."""
        return cls(_samples(config, config.frame_length_ms), _samples(config, config.frame_shift_ms))

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames ``num_samples`` give; 0 below one window."""
        return 0 if num_samples < self.window else 1 + (num_samples - self.window) // self.shift


def _samples(config: FeaturesConfig, duration_ms: float) -> int:
    return int(config.sample_rate_hz * duration_ms * 0.001)


def check(config: FeaturesConfig) -> None:
    """Raise ConfigError, naming every problem, if no features can be computed with ``config``."""
    problems = _problems(config)
    if problems:
        raise ConfigError("; ".join(problems), where="features", fix="choose settings that fit sample_rate_hz")


def _problems(config: FeaturesConfig) -> list[str]:
    framing = Framing.of(config)
    high_hz = highest_hz(config)
    problems = []
    if framing.window < 2:
        problems.append(f"frame_length_ms: {config.frame_length_ms} is {framing.window} samples, expected 2 or more")
    if framing.shift < 1:
        problems.append(f"frame_shift_ms: {config.frame_shift_ms} is less than one sample")
    if not config.low_freq_hz < high_hz <= config.sample_rate_hz / 2:
        limits = f"low_freq_hz {config.low_freq_hz} to high_freq_hz {high_hz}"
        problems.append(f"{limits} is no band below half of sample_rate_hz {config.sample_rate_hz}")
    if config.name == "mfcc" and config.num_ceps > config.num_bins:
        problems.append(f"num_ceps: expected at most num_bins {config.num_bins}, got {config.num_ceps}")
    return problems or _filter_problems(config)


def _filter_problems(config: FeaturesConfig) -> list[str]:
    warp, high_hz = config.vtln_warp, highest_hz(config)
    bend_low, bend_high = VTLN_LOW_HZ * max(1.0, warp), (high_hz + VTLN_HIGH_OFFSET_HZ) * min(1.0, warp)
    if warp != 1.0 and not config.low_freq_hz < VTLN_LOW_HZ <= bend_low < bend_high:
        band = f"a band from below {VTLN_LOW_HZ:.0f} Hz, wide enough to bend"
        return [f"vtln_warp: {warp} needs {band}, got {config.low_freq_hz} to {high_hz} Hz"]
    fft_size = 1 << (Framing.of(config).window - 1).bit_length()
    filters, _ = get_mel_banks(
        config.num_bins,
        fft_size,
        float(config.sample_rate_hz),
        config.low_freq_hz,
        config.high_freq_hz,
        VTLN_LOW_HZ,
        VTLN_HIGH_OFFSET_HZ,
        warp,
    )
    empty = int((filters.sum(1) == 0).sum())
    return [f"num_bins: {empty} of {config.num_bins} filters fall between two frequencies"] if empty else []


def highest_hz(config: FeaturesConfig) -> float:
    """Return the upper end of the filters in Hz."""
    return config.high_freq_hz if config.high_freq_hz > 0 else config.sample_rate_hz / 2 + config.high_freq_hz
