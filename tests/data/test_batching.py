"""Batches are a pure function of (seed, epoch): everything is taken once, within the limits."""

from __future__ import annotations

import numpy as np
import pytest

from asr_ligru.data.batching import BatchPlan, EpochBatches

LENGTHS = np.random.default_rng(0).integers(20, 900, 300).tolist()
PLAN = BatchPlan(batch_frames=4000, max_batch_size=16, seed=3)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_batches_take_each_utterance_once_within_the_limits(epoch: int) -> None:
    batches = PLAN.batches(LENGTHS, epoch)
    assert sorted(i for batch in batches for i in batch) == list(range(300))
    assert all(len(b) * max(LENGTHS[i] for i in b) <= 4000 and len(b) <= 16 for b in batches)


def test_batches_of_two_epochs_differ_and_of_one_epoch_are_equal() -> None:
    assert PLAN.batches(LENGTHS, 1) == PLAN.batches(LENGTHS, 1) != PLAN.batches(LENGTHS, 2)
    assert PLAN.batches(LENGTHS, 1) != BatchPlan(4000, 16, seed=4).batches(LENGTHS, 1)


def test_batches_pad_little() -> None:
    batches = PLAN.batches(LENGTHS, 1)
    padded = sum(len(b) * max(LENGTHS[i] for i in b) for b in batches)
    assert padded < 1.15 * sum(LENGTHS)


def test_batches_with_an_utterance_over_the_limit_give_it_its_own() -> None:
    assert [5] in BatchPlan(100, 16).batches([10, 10, 10, 10, 10, 500], 1)


@pytest.mark.parametrize("multiple", [2, 3])
def test_batches_of_a_multiple_keep_to_it_and_to_the_limits(multiple: int) -> None:
    batches = BatchPlan(4000, 16, seed=3, multiple=multiple).batches(LENGTHS, 1)
    assert sorted(i for batch in batches for i in batch) == list(range(300))
    assert all(len(b) * max(LENGTHS[i] for i in b) <= 4000 and len(b) <= 16 for b in batches)
    assert sum(len(b) % multiple > 0 for b in batches) <= 1  # the last, before they are mixed
    assert any(len(b) % multiple for b in PLAN.batches(LENGTHS, 1))


def test_batches_of_a_multiple_hold_fewer_where_no_more_fit() -> None:
    batches = BatchPlan(1000, 16, multiple=4).batches([900, 400, 400, 90, 90, 90, 90, 90], 1)
    assert sorted(map(len, batches)) == [1, 1, 2, 4]


def test_batches_are_sorted_by_length() -> None:
    assert all(b == sorted(b, key=LENGTHS.__getitem__) for b in PLAN.batches(LENGTHS, 1))


def test_curriculum_leaves_long_utterances_for_later_epochs() -> None:
    plan = BatchPlan(4000, 16, start_frames=100)
    longest = [max(LENGTHS[i] for b in plan.batches(LENGTHS, e) for i in b) for e in (1, 2, 3, 5)]
    assert longest[0] <= 100 < longest[1] <= 200 < longest[2] <= 400
    assert longest[3] == max(LENGTHS)


def test_epoch_batches_continued_at_a_position_yield_the_rest() -> None:
    whole, rest = EpochBatches(PLAN, LENGTHS), EpochBatches(PLAN, LENGTHS)
    whole.set_epoch(2)
    rest.set_epoch(2, position=5)
    assert list(whole)[5:] == list(rest)
    assert len(rest) == len(whole) - 5
