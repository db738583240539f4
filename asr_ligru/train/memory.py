"""Running out of memory on a batch, said in terms of that batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from asr_ligru.errors import EnvironmentError_
from asr_ligru.safety import printable
from asr_ligru.typing import Batch

_SIGNS = ("can't allocate memory", "out of memory")  # of torch on a CPU, and on a GPU


@contextmanager
def explained(batch: Batch) -> Iterator[None]:
    """Name the batch that the memory did not suffice for.

    Raises:
        EnvironmentError_: it did not.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in _SIGNS):
            raise
        longest = int(batch.feat_lens.argmax())
        detail = next((line for line in str(error).splitlines() if any(sign in line for sign in _SIGNS)), "")
        raise EnvironmentError_(
            f"out of memory on {len(batch.utt_ids)} utterances of up to {int(batch.feat_lens.max())} frames"
            + (f": {printable(detail)}" if detail else ""),
            where=f"the longest is {printable(batch.utt_ids[longest])}",
            fix="lower train.batch_frames or corpus.max_seconds; the same command goes on from the last checkpoint",
        ) from error
