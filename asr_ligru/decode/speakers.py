"""What a model learns of the speakers of a user's recordings before any of them is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from asr_ligru.decode.recording import Recording
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.models.load import LoadedModel


def uses_speakers(model: LoadedModel) -> bool:
    """Say whether it matters to a model who speaks."""
    return any(part.config.cmvn == "speaker" or part.config.name == "fmllr" for part in model.frontend.parts)


def adapt(model: LoadedModel, speaker: str, recordings: Iterable[Recording]) -> None:
    """Take the statistics of a speaker from all of his recordings, or adapt to him by what is recognised in them.

    Args:
        model: changed, where speakers matter to it.
        speaker: an id, not empty.
        recordings: are read to their end; those that cannot be read are passed over, as far as they go.
    """
    if uses_speakers(model):
        model.frontend.add_speakers((speaker, raw) for recording in recordings for raw in _raw_feats(recording))


def _raw_feats(recording: Recording) -> Iterator[Tensor]:
    try:
        for _, raw in recording.raw_feats():
            yield raw
    except (DataError, EnvironmentError_):  # said when it is decoded
        return
