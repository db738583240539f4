"""Features of many pieces decoded together, whatever recordings they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from torch import Tensor

from asr_ligru.data.batching import BatchPlan
from asr_ligru.decode.choose import make_decoder
from asr_ligru.decode.recording import Settings
from asr_ligru.decode.result import Decoder, Result
from asr_ligru.decode.run import decode_feats
from asr_ligru.errors import AsrLigruError, EnvironmentError_
from asr_ligru.models.load import LoadedModel

T = TypeVar("T")

_AT_ONCE_FRAMES = 60_000  # of features that wait to be decoded together, ten minutes of audio
_BATCH_FRAMES = 24_000  # most frames in a padded batch
_BATCH_SIZE = 64


def decode_all(
    model: LoadedModel, items: Iterable[tuple[T, Tensor | None]], settings: Settings
) -> Iterator[tuple[T, Result | AsrLigruError | None]]:
    """Decode features as they come, many at a time.

    Args:
        model: what decodes.
        items: anything, with its features (T, F); None passes through in its place.
        settings: the decoder.

    Yields:
        The same things in the same order with what was heard, or an ``EnvironmentError_`` where memory was too
        small even for one alone.
    """
    decoder = settings.decoder or make_decoder(model)
    held: list[tuple[T, Tensor | None]] = []
    frames = 0
    for item in items:
        held.append(item)
        frames += 0 if item[1] is None else len(item[1])
        if frames >= _AT_ONCE_FRAMES:
            yield from _decode_held(model, held, decoder, settings)
            held, frames = [], 0
    yield from _decode_held(model, held, decoder, settings)


def _decode_held(
    model: LoadedModel, held: list[tuple[T, Tensor | None]], decoder: Decoder, settings: Settings
) -> Iterator[tuple[T, Result | AsrLigruError | None]]:
    order = [(index, feats) for index, (_, feats) in enumerate(held) if feats is not None]
    plan = BatchPlan(_BATCH_FRAMES, settings.batch_size or _BATCH_SIZE)
    found: dict[int, Result | AsrLigruError] = {}
    for batch in plan.batches([len(feats) for _, feats in order], epoch=0):
        members = [order[i] for i in batch]
        results = _decode_batch(model, [feats for _, feats in members], decoder, settings.n_best)
        found.update(zip([index for index, _ in members], results, strict=True))
    for index, (thing, _) in enumerate(held):
        yield thing, found.get(index)


def _decode_batch(
    model: LoadedModel, feats: list[Tensor], decoder: Decoder, n_best: int
) -> list[Result | AsrLigruError]:
    """Decode a batch; where memory is too small for it, its halves."""
    try:
        return list(decode_feats(model, feats, decoder, n_best))
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or "memory" in str(error).lower()):
            raise
    if len(feats) > 1:
        half = len(feats) // 2
        return [r for part in (feats[:half], feats[half:]) for r in _decode_batch(model, part, decoder, n_best)]
    return [EnvironmentError_(f"out of memory for one piece of {len(feats[0])} frames")]
