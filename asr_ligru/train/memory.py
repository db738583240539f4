"""Running out of memory on a batch, said in terms of that batch."""

from __future__ import annotations

from contextlib import AbstractContextManager

from asr_ligru.safety.memory import memory_errors
from asr_ligru.typing import Batch


def explained(batch: Batch) -> AbstractContextManager[None]:
    """Name the batch that the memory did not suffice for, with an ``EnvironmentError_``."""
    return memory_errors(
        f"on {len(batch.utt_ids)} utterances of up to {int(batch.feat_lens.max())} frames",
        where=f"the longest is {batch.utt_ids[int(batch.feat_lens.argmax())]}",
        fix="lower train.batch_frames or corpus.max_seconds; the same command goes on from the last checkpoint",
    )
