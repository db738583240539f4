"""Batches of a training set in shards: a few shards at a time, in a random order, their utterances mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from asr_ligru import ranks
from asr_ligru.data.batching import BatchPlan, EpochBatches, Indices, Key
from asr_ligru.data.shard_store import ShardStore
from asr_ligru.data.shards import Shard
from asr_ligru.errors import DataError
from asr_ligru.features.augment import generator

Record = Callable[[Shard, str], None]  # of a shard that cannot be used, and why


class _Block(NamedTuple):
    """Shards whose utterances are mixed: which ones, and their batches."""

    shards: list[int]
    batches: Indices


class ShardBatches(EpochBatches):
    """The batch sampler of a DataLoader, which also brings the shards.

    An epoch's order of shards is random and cut into blocks of ``buffer`` shards; within a block batches are made as
    from a whole corpus. Both depend on (seed, epoch) only, so that a run can go on at any batch. The archives of a
    block are here when its first batch is asked for, and those of the next one are on their way.

    Args:
        plan: the limits of a batch.
        num_frames: (N,) frames of each utterance.
        take: what of each batch is read here.
        shard_of: (N,) number of the shard that holds it, ascending.
        store: where archives come from.
        buffer: shards in a block.
        ahead: batches that are named before they are read, by worker processes.
        lost: returns the shards that cannot be used, by name, with the reason. What is found out is added to it; they
            stay out to the end of the run, so that its batches are the same however often it is interrupted.
        record: told of each shard that cannot be used; may end the run.
    """

    def __init__(
        self,
        plan: BatchPlan,
        num_frames: np.ndarray,
        take: Callable[[Indices], Indices] = lambda batches: batches,
        *,
        shard_of: np.ndarray,
        store: ShardStore,
        buffer: int,
        ahead: int,
        lost: Callable[[], dict[str, str]],
        record: Record,
    ) -> None:
        self._shard_of, self._store, self._buffer, self._ahead = shard_of, store, buffer, ahead
        self._lost, self._record = lost, record
        self._recorded: set[str] = set()
        self._blocks: list[_Block] = []
        super().__init__(plan, num_frames, take)

    def set_epoch(self, epoch: int, position: int = 0) -> None:
        """Choose the epoch, and how many of its batches were already done."""
        self.epoch, self.position = epoch, position
        shards = self._store.index.shards
        order = generator(self.plan.seed, epoch, "shards").permutation(len(shards)).tolist()
        for shard in shards:
            self._report(shard)
        self._blocks = [self._block(order[i : i + self._buffer]) for i in range(0, len(order), self._buffer)]
        self._flatten()

    def __iter__(self) -> Iterator[list[Key]]:
        done = 0  # batches of the blocks before
        in_use: list[tuple[int, int]] = []  # shards whose batches may still be read, and where these end
        for number in range(len(self._blocks)):
            if done + len(self._blocks[number].batches) > self.position:
                in_use = [(shard, end) for shard, end in in_use if end + self._ahead >= done]
                self._enter(number, [shard for shard, _ in in_use])
                block = self._blocks[number]
                end = done + len(block.batches)
                for batch in self.own[max(done, self.position) : end]:
                    yield [(self.epoch, index) for index in batch]
                in_use += [(shard, end) for shard in block.shards]
            done += len(self._blocks[number].batches)

    def _block(self, numbers: Sequence[int]) -> _Block:
        ends = np.searchsorted(self._shard_of, [numbers, [n + 1 for n in numbers]]).T
        indices = np.concatenate([np.arange(start, end) for start, end in ends])
        batches = self.plan.batches(np.asarray(self.num_frames)[indices], self.epoch)
        return self._without_lost(_Block(list(numbers), [indices[batch].tolist() for batch in batches]))

    def _without_lost(self, block: _Block) -> _Block:
        """Leave out the utterances of lost shards; the other batches stay as they were planned."""
        gone = {n for n in block.shards if self._store.index.shards[n].name in self._lost()}
        if not gone:
            return block
        kept = [[i for i in batch if int(self._shard_of[i]) not in gone] for batch in block.batches]
        return _Block([n for n in block.shards if n not in gone], [batch for batch in kept if batch])

    def _enter(self, number: int, in_use: Sequence[int]) -> None:
        """Bring the archives of a block, begin with those of the next, and remove what is not in use any more."""
        shards, block = self._store.index.shards, self._blocks[number]
        following = self._blocks[number + 1].shards if number + 1 < len(self._blocks) else []
        self._store.keep([shards[n] for n in (*in_use, *block.shards, *following)])
        failed = {}
        for n in block.shards:
            try:
                self._store.obtain(shards[n])
            except DataError as error:
                failed[shards[n].name] = error.what
        self._lost().update(ranks.merged(failed))  # no process uses a shard that another one does not have
        for n in block.shards:
            self._report(shards[n])
        rest = self._without_lost(block)
        if rest is not block:
            self._blocks[number] = rest
            self._flatten()
        for n in following:
            self._store.begin(shards[n])

    def _report(self, shard: Shard) -> None:
        if shard.name in self._lost() and shard.name not in self._recorded:
            self._recorded.add(shard.name)
            self._record(shard, self._lost()[shard.name])

    def _flatten(self) -> None:
        self.batches = [batch for block in self._blocks for batch in block.batches]
        self.own = self.take(self.batches)
