"""One upload on its way to text, in a thread that can be told to stop."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

from torch import Tensor

from asr_ligru.data.audio_blocks import read_blocks
from asr_ligru.decode.result import Decoder, Result
from asr_ligru.decode.transcribe import transcribe
from asr_ligru.decode.transcript import Transcript
from asr_ligru.decode.writers import WRITERS, Style
from asr_ligru.models.load import LoadedModel
from asr_ligru.serve.outline import outline_of

T = TypeVar("T")

_TEXTS = ("txt", "srt", "vtt")


class Stopped(Exception):
    """Nobody waits for the answer any longer."""


@dataclass(frozen=True)
class Ear:
    """What all uploads are transcribed with.

    Attributes:
        model: what decodes.
        decoder: from log probabilities to words; used by one thread at a time, which not all of them need.
        max_seconds: longest recording.
    """

    model: LoadedModel
    decoder: Decoder
    max_seconds: float
    _decoding: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, file: BinaryIO, name: str, stop: threading.Event) -> dict[str, Any]:
        """Transcribe an open file.

        Args:
            file: the recording.
            name: how its owner calls it; stands in the answer only.
            stop: ends the work between two batches when it is set.

        Returns:
            What the page gets: the transcript as ``decode --format json`` has it, its texts in other formats, the
            waveform's peaks.

        Raises:
            Refusal: the recording is too long.
            AsrLigruError: it cannot be read, or memory is too small.
            Stopped: ``stop`` was set.
        """
        rate_hz = self.model.config.features.sample_rate_hz
        file.seek(0)
        outline = outline_of(_until(stop, read_blocks(file, sample_rate_hz=rate_hz)), rate_hz, self.max_seconds)
        file.seek(0)
        segments = tuple(_until(stop, transcribe(self.model, file, decoder=self._stoppable(stop))))
        transcript = Transcript(name, outline.duration_s, segments)
        style = Style(utt_id=name, word_times=True, confidence=True)
        return {
            "transcript": json.loads(WRITERS["json"](transcript, style)),
            "files": {kind: WRITERS[kind](transcript, Style(utt_id=name)) for kind in _TEXTS},
            "peaks": outline.peaks,
        }

    def _stoppable(self, stop: threading.Event) -> Decoder:
        def decode(log_probs: Tensor, log_prob_lens: Tensor, n_best: int = 1) -> list[Result]:
            with self._decoding:
                if stop.is_set():
                    raise Stopped
                return self.decoder(log_probs, log_prob_lens, n_best)

        return decode


def _until(stop: threading.Event, things: Iterable[T]) -> Iterator[T]:
    for thing in things:
        if stop.is_set():
            raise Stopped
        yield thing
