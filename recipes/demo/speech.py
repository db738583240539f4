"""Clean synthetic speech at 16 kHz with its words' times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import resample_poly

from . import espeak
from .grammar import SentenceSource
from .randomness import generator
from .rooms import SAMPLE_RATE_HZ
from .timing import Span, spans
from .voices import Voice

_PEAK = 0.5
_SILENCE_S = (0.05, 0.2)  # before and after, from and to


@dataclass(frozen=True, slots=True)
class Spoken:
    """One clean utterance.

    Attributes:
        utt_id: unique in the corpus.
        voice: who says it.
        text: what is said.
        wav: (N,) samples at 16 kHz.
        words: its words with their times.
        phones: its phones with their times, as this voice says them.
    """

    utt_id: str
    voice: Voice
    text: str
    wav: NDArray[np.float32]
    words: list[Span]
    phones: list[Span]

    @property
    def speaking(self) -> slice:
        """The samples from the first word's start to the last word's end."""
        return slice(round(self.words[0].start_s * SAMPLE_RATE_HZ), round(self.words[-1].end_s * SAMPLE_RATE_HZ))


def speak(voice: Voice, sentences: SentenceSource, seconds: float, seed: int) -> list[Spoken]:
    """Let a voice say new sentences until it has spoken for about ``seconds``.

    Args:
        voice: who speaks.
        sentences: where they come from.
        seconds: of audio, silence included; the last utterance may pass it.
        seed: of the corpus.

    Returns:
        At least one utterance.
    """
    said: list[Spoken] = []
    left = seconds
    with espeak.engine(voice) as engine:
        while not said or left > 0:
            utt_id = f"{voice.name}-{len(said):03d}"
            rng = generator(seed, utt_id)
            said.append(_say(engine, voice, utt_id, sentences.draw(rng), rng))
            left -= len(said[-1].wav) / SAMPLE_RATE_HZ
    return said


def _say(engine: espeak.Engine, voice: Voice, utt_id: str, text: str, rng: Generator) -> Spoken:
    raw, events = engine.say(text)
    words, phones = spans(text, events)
    spoken = raw[: events[-1].sample].astype(np.float64)
    wav = resample_poly(spoken, SAMPLE_RATE_HZ // 50, espeak.SAMPLE_RATE_HZ // 50)
    wav *= _PEAK / np.abs(wav).max()
    before, after = (round(float(value) * SAMPLE_RATE_HZ) for value in rng.uniform(*_SILENCE_S, size=2))
    lead_s = before / SAMPLE_RATE_HZ
    return Spoken(
        utt_id,
        voice,
        text,
        np.pad(wav, (before, after)).astype(np.float32),
        [word.moved(lead_s) for word in words],
        [phone.moved(lead_s) for phone in phones],
    )
