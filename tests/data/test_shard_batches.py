"""Batches from shards: each utterance once, few shards at a time, the same again when continued."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from asr_ligru.data.batching import BatchPlan
from asr_ligru.data.shard_batches import ShardBatches
from asr_ligru.data.shard_store import ShardStore
from asr_ligru.data.shards import Shard, ShardIndex
from asr_ligru.errors import DataError

SIZES = (30, 7, 25, 1, 40, 18, 22)
PLAN = BatchPlan(2000, 8, seed=1)


class Store:
    """Stands for a store of archives, notes what it is asked for, and breaks those it is told to."""

    def __init__(self, broken: Iterable[str] = ()) -> None:
        shards = tuple(Shard(f"shard-{n:06}", size, 1, "", "") for n, size in enumerate(SIZES))
        self.index = ShardIndex(8000, shards)
        self.broken = set(broken)
        self.here: set[str] = set()
        self.most = 0

    def obtain(self, shard: Shard) -> None:
        if shard.name in self.broken:
            raise DataError("broken")
        self.here.add(shard.name)
        self.most = max(self.most, len(self.here))

    def begin(self, shard: Shard) -> None:
        if shard.name not in self.broken:
            self.obtain(shard)

    def keep(self, shards: Iterable[Shard]) -> None:
        self.here &= {shard.name for shard in shards}


def made(store: Any = None, lost: dict[str, str] | None = None, seed: int = 1, buffer: int = 2) -> SimpleNamespace:
    rng = np.random.default_rng(0)
    num_frames = rng.integers(50, 400, sum(SIZES))
    store = store or Store()
    lost, records = {} if lost is None else lost, []
    shard_of = np.repeat(np.arange(len(SIZES)), SIZES)
    batches = ShardBatches(
        BatchPlan(2000, 8, seed=seed), num_frames, shard_of=shard_of, store=cast(ShardStore, store),
        buffer=buffer, ahead=1, lost=lambda: lost, record=lambda shard, reason: records.append((shard.name, reason)),
    )  # fmt: skip
    return SimpleNamespace(
        batches=batches, store=store, lost=lost, records=records, shard_of=shard_of, frames=num_frames
    )


def epoch_of(case: SimpleNamespace, epoch: int, position: int = 0) -> list[list[int]]:
    case.batches.set_epoch(epoch, position)
    found = []
    for batch in case.batches:
        assert {e for e, _ in batch} == {epoch}
        needed = {case.store.index.shards[case.shard_of[i]].name for _, i in batch}
        assert needed <= case.store.here
        found.append([i for _, i in batch])
    return found


def test_epoch_has_each_utterance_once_within_the_limits() -> None:
    case = made()
    for epoch in (1, 2):
        found = epoch_of(case, epoch)
        assert sorted(i for batch in found for i in batch) == list(range(sum(SIZES)))
        assert all(len(batch) <= 8 and len(batch) * max(case.frames[batch]) <= 2000 for batch in found)
        assert len(found) == len(case.batches.batches)


def test_epoch_is_decided_by_seed_and_epoch() -> None:
    first = epoch_of(made(), 1)
    assert epoch_of(made(), 1) == first
    assert epoch_of(made(), 2) != first
    assert epoch_of(made(seed=2), 1) != first


def test_epoch_mixes_the_shards_of_a_block_and_holds_few() -> None:
    case = made(buffer=2)
    found = epoch_of(case, 1)
    together = [{int(case.shard_of[i]) for i in batch} for batch in found]
    assert any(len(shards) == 2 for shards in together)
    assert max(map(len, together)) <= 2
    assert case.store.most <= 3 * 2  # before, now and next


@pytest.mark.parametrize("position", [0, 1, 5, 12, 20])
def test_epoch_continued_at_a_batch_is_the_rest_of_it(position: int) -> None:
    assert epoch_of(made(), 3, position) == epoch_of(made(), 3)[position:]


@pytest.mark.parametrize("buffer", [1, 3])
def test_broken_shard_is_recorded_once_and_the_rest_is_used(buffer: int) -> None:
    case = made(Store(["shard-000002"]), buffer=buffer)
    complete = epoch_of(made(buffer=buffer), 1)
    begin = sum(SIZES[:2])
    gone = set(range(begin, begin + SIZES[2]))
    expected = [kept for batch in complete if (kept := [i for i in batch if i not in gone])]
    assert epoch_of(case, 1) == expected
    assert len(case.batches.batches) == len(expected)
    assert case.lost == {"shard-000002": "broken"}
    case.store.broken.clear()  # repaired, and still left out: the same run again would be another
    assert gone.isdisjoint(i for batch in epoch_of(case, 2) for i in batch)
    assert case.records == [("shard-000002", "broken")]


def test_continued_with_a_lost_shard_is_the_rest_of_the_interrupted_epoch() -> None:
    broken = made(Store(["shard-000004"]))
    found = epoch_of(broken, 1)
    for position in range(0, len(found), 3):
        after = made(lost={"shard-000004": "broken"})
        assert [b for b in epoch_of(after, 1, position) if b] == found[position:]
        assert after.records == [("shard-000004", "broken")]


def test_record_that_raises_ends_the_epoch() -> None:
    case = made(Store(["shard-000000"]))

    def refuse(shard: Shard, reason: str) -> None:
        raise DataError("too many")

    case.batches._record = refuse
    with pytest.raises(DataError, match="too many"):
        epoch_of(case, 1)
