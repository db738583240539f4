"""A usable part of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asr_ligru.data.batching import BatchPlan, EpochBatches, Indices
from asr_ligru.typing import Utterance


@dataclass(frozen=True)
class Split:
    """Utterances, their frames at normal speed and their target ids.

    Those of a hybrid model are the tied states of the frames, none where an utterance could not be aligned; the ids of
    its CTC head are in ``ctc_tokens``, which is empty without one.
    """

    utterances: Sequence[Utterance]
    num_frames: Sequence[int]
    tokens: Sequence[Sequence[int]]
    ctc_tokens: Sequence[Sequence[int]] = ()

    @classmethod
    def of(cls, found: Sequence[tuple[Utterance, int, Sequence[int]]]) -> Split:
        """Return a split of utterances with their frames and target ids."""
        return cls([u for u, _, _ in found], [frames for _, frames, _ in found], [tokens for _, _, tokens in found])

    def batches(
        self, plan: BatchPlan, lost: Callable[[], dict[str, str]], take: Callable[[Indices], Indices]
    ) -> EpochBatches:
        """Return what names the batches of each epoch.

        Args:
            plan: what limits a batch.
            lost: returns the shards that cannot be used, by name, with the reason, for this to add to.
            take: what of an epoch's batches is read in this process.
        """
        return EpochBatches(plan, self.num_frames, take)

    def identity(self) -> Any:
        """Return, JSON-ready, what a run that goes on must find again."""
        ids = [u.utt_id for u in self.utterances]
        return [ids, self.num_frames, self.tokens, *([self.ctc_tokens] if self.ctc_tokens else [])]

    def close(self) -> None:
        """Remove what was copied to read it."""
