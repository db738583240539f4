"""A loaded model that transcribes: what ``from asr_ligru import load_model`` gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from asr_ligru.data.audio_blocks import Source
from asr_ligru.decode.result import Decoder
from asr_ligru.decode.transcribe import transcribe
from asr_ligru.decode.transcript import Segment
from asr_ligru.models import load
from asr_ligru.models.load import LoadedModel


@dataclass(frozen=True)
class Recognizer(LoadedModel):
    """A model that turns audio into text."""

    def transcribe(
        self,
        source: Source,
        *,
        decoder: Decoder | None = None,
        n_best: int = 1,
        channel: str = "mix",
        raw_rate_hz: int | None = None,
        speaker: str = "",
    ) -> Iterator[Segment]:
        """Transcribe an audio file of any length, format and rate.

        Args:
            source: the file, or an open binary stream.
            decoder: from log probabilities to words; None for greedy.
            n_best: different readings of each segment, at most, >= 1.
            channel: "mix" averages the channels, "0", "1", ... takes one, "split" decodes each.
            raw_rate_hz: sample rate of a recording without a header, 16-bit mono; None refuses it.
            speaker: who speaks, for models that adapt to speakers; empty when unknown.

        Yields:
            Segments as soon as they are known: text, times in seconds of the file, words, confidence, other readings.

        Raises:
            DataError: the file cannot be read, or no longer; what was yielded before is sound.
        """
        return transcribe(
            self, source, decoder=decoder, n_best=n_best, channel=channel, raw_rate_hz=raw_rate_hz, speaker=speaker
        )


def load_model(path: str | Path) -> Recognizer:
    """Load a trained model.

    Args:
        path: a run folder, its model folder, or a ``.zip`` that ``asr-ligru export`` made of it. No code in it is run.

    Raises:
        DataError: there is no model, it was altered, or it does not fit its own configuration.

    Example:
        >>> from asr_ligru import load_model
        >>> model = load_model("exp/my_run")
        >>> for segment in model.transcribe("hello.wav"):
        ...     print(f"{segment.start_s:.1f} to {segment.end_s:.1f} s: {segment.text}")
        0.0 to 0.9 s: ...
    """
    loaded = load.load_model(Path(path))
    return Recognizer(**{field.name: getattr(loaded, field.name) for field in fields(loaded)})
