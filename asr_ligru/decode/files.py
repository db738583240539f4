"""Decode many recordings together: each gets a transcript, a bad one its reason, and none stops the others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from asr_ligru.decode.batches import decode_all
from asr_ligru.decode.inputs import Input
from asr_ligru.decode.recording import Recording, Settings, Stretch
from asr_ligru.decode.result import Result
from asr_ligru.decode.speakers import adapt, uses_speakers
from asr_ligru.decode.transcribe import segments
from asr_ligru.decode.transcript import Transcript
from asr_ligru.errors import AsrLigruError, DataError, EnvironmentError_
from asr_ligru.models.load import LoadedModel
from asr_ligru.safety import printable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _End:
    """Stands behind the pieces of a recording."""

    source: Input
    duration_s: float
    silent_s: float
    status: str


def decode_files(
    model: LoadedModel,
    inputs: Sequence[Input],
    settings: Settings,
    *,
    fail_fast: bool = False,
    heard: Callable[[float], object] = lambda seconds: None,
) -> Iterator[tuple[Input, Transcript]]:
    """Decode recordings; the pieces of many are decoded together, which changes no text.

    Args:
        model: what decodes.
        inputs: what to decode.
        settings: how.
        fail_fast: end behind the first that fails.
        heard: is told how many seconds more were read.

    Yields:
        Each input with its transcript, in order; a failed one has no segments, and a status that says why.
    """
    if uses_speakers(model):
        _adapt(model, inputs, settings)
    found: list[tuple[Stretch, Result]] = []
    trouble = ""
    for thing, result in decode_all(model, _pieces(model, inputs, settings, fail_fast, heard), settings):
        if isinstance(thing, _End):
            status = thing.status if thing.status != "ok" else trouble or "ok"
            said = sorted(segments(found, model.frame_s), key=lambda s: s.start_s) if status == "ok" else []
            yield thing.source, Transcript(thing.source.name, thing.duration_s, tuple(said), status)
            found, trouble = [], ""
            if thing.silent_s:
                log.info("%s: %.0f s of silence left out", printable(thing.source.name), thing.silent_s)
        elif isinstance(result, AsrLigruError):
            trouble = result.what
        elif result is not None:
            found.append((thing, result))


def _pieces(
    model: LoadedModel,
    inputs: Sequence[Input],
    settings: Settings,
    fail_fast: bool,
    heard: Callable[[float], object],
) -> Iterator[tuple[Stretch | _End, Tensor | None]]:
    for source in inputs:
        recording = _recording(model, source, settings, source.speaker)
        status = source.problem or "ok"
        told_s = 0.0
        try:
            for piece in () if source.problem else recording.feats():
                yield piece
                heard(recording.duration_s - told_s)
                told_s = recording.duration_s
        except (DataError, EnvironmentError_) as error:
            status = _said(error, source)
        except OSError as error:
            status = error.strerror or str(error)
        yield _End(source, recording.duration_s, recording.silent_s, status), None
        if fail_fast and status != "ok":
            return


def _said(error: AsrLigruError, source: Input) -> str:
    """Return what is wrong, in which file where the input's name does not say so, and what to do."""
    where = "" if source.path is None or str(source.path) == source.name else f", in {source.path}"
    return f"{error.what}{where}{f' ({error.fix})' if error.fix else ''}"


def _recording(model: LoadedModel, source: Input, settings: Settings, speaker: str = "") -> Recording:
    opened = sys.stdin.buffer if source.path is None else source.path
    return Recording(model, opened, settings, speaker, source.offset_s, source.duration_s)


def _adapt(model: LoadedModel, inputs: Sequence[Input], settings: Settings) -> None:
    """Let the model learn of each speaker from all of his recordings, which are read twice for it."""
    for speaker in {source.speaker: None for source in inputs if source.speaker and source.path is not None}:
        adapt(
            model,
            speaker,
            (_recording(model, s, settings) for s in inputs if s.speaker == speaker and s.path and not s.problem),
        )
