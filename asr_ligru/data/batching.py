"""Which utterances go into which batch of which epoch: a pure function of (seed, epoch).

Batches hold utterances of similar length, at most ``batch_frames`` frames after padding. The order of batches, and
which neighbours an utterance has, change from epoch to epoch but depend on nothing else, so a run can be continued at
any batch, by any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from asr_ligru.features.augment import generator

Key = tuple[int, int]  # (epoch, index of the utterance)
Indices = list[list[int]]  # of the utterances in each batch
Lengths = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class BatchPlan:
    """What limits a batch.

    Attributes:
        batch_frames: most frames in a padded batch.
        max_batch_size: most utterances in a batch.
        seed: of the run.
        start_frames: longest utterance of epoch 1 when short ones come first, doubled each epoch; None for all at once.
        multiple: of utterances in a batch, where so many fit, for as many processes to divide it equally.
    """

    batch_frames: int
    max_batch_size: int
    seed: int = 0
    start_frames: int | None = None
    multiple: int = 1

    def batches(self, num_frames: Lengths, epoch: int) -> Indices:
        """Return the batches of one epoch as lists of indices.

        Args:
            num_frames: frames of each utterance, all >= 1.
            epoch: from 1; 0 gives sorted batches without any randomness, for evaluation.

        Returns:
            Batches in the order to take them, each sorted by length. An utterance longer than ``batch_frames`` is a
            batch of its own.
        """
        lengths = np.asarray(num_frames, dtype=np.int64)
        indices = np.flatnonzero(lengths <= self.longest(epoch, int(lengths.max(initial=0))))
        if epoch == 0:
            return self._cut(lengths, indices[np.argsort(lengths[indices], kind="stable")])
        rng = generator(self.seed, epoch, "batches")
        jitter = rng.uniform(0.9, 1.1, len(indices))  # so that neighbours in length change
        cut = self._cut(lengths, indices[np.argsort(lengths[indices] * jitter, kind="stable")])
        return [sorted(cut[i], key=lengths.__getitem__) for i in rng.permutation(len(cut))]

    def longest(self, epoch: int, of_all: int) -> int:
        """Return the longest utterance of ``epoch``, in frames."""
        if self.start_frames is None or epoch == 0:
            return of_all
        return int(min(of_all, self.start_frames * 2 ** min(epoch - 1, 40)))

    def _cut(self, lengths: np.ndarray, order: np.ndarray) -> Indices:
        batches: Indices = []
        batch: list[int] = []
        longest = 0
        for index in order.tolist():
            longest = max(longest, int(lengths[index]))
            while batch and (len(batch) == self.max_batch_size or longest * (len(batch) + 1) > self.batch_frames):
                kept = len(batch) // self.multiple * self.multiple or len(batch)
                batches.append(batch[:kept])
                batch = batch[kept:]
                longest = int(lengths[[*batch, index]].max())
            batch.append(index)
        return [*batches, batch] if batch else batches


class EpochBatches(Sampler[list[Key]]):
    """The batch sampler of a DataLoader: an epoch's batches from a position on.

    Args:
        plan: the limits.
        num_frames: frames of each utterance.
        take: what of an epoch's batches is read here; all of them when omitted.

    Attributes:
        batches: all batches of the epoch.
        own: what is read here of them.
    """

    def __init__(
        self, plan: BatchPlan, num_frames: Lengths, take: Callable[[Indices], Indices] = lambda batches: batches
    ) -> None:
        self.plan = plan
        self.num_frames = num_frames
        self.take = take
        self.set_epoch(0)

    def set_epoch(self, epoch: int, position: int = 0) -> None:
        """Choose the epoch, and how many of its batches were already done."""
        self.epoch, self.position = epoch, position
        self.batches = self.plan.batches(self.num_frames, epoch)
        self.own = self.take(self.batches)

    def __iter__(self) -> Iterator[list[Key]]:
        for batch in self.own[self.position :]:
            yield [(self.epoch, index) for index in batch]

    def __len__(self) -> int:
        return len(self.own) - self.position
