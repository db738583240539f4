"""Counters and metrics of a run, and which of its epochs counts as the best."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asr_ligru.train.state import RunState


def state(*wers: float | None) -> RunState:
    """Return a state with an epoch for each development WER; None for one that was not evaluated."""
    found = RunState()
    for epoch, wer in enumerate(wers, start=1):
        record: dict[str, Any] = {"epoch": epoch, "step": 10 * epoch}
        found.metrics.append(record if wer is None else {**record, "dev_wer": wer})
    return found


def test_start_epoch_forgets_the_sums_and_keeps_the_rest() -> None:
    run = RunState(
        epoch=1, position=7, step=40, loss_sum=3.5, loss_count=7, skipped=1, train_s=2.0, metrics=[{"epoch": 1}]
    )
    run.start_epoch(2)
    assert run == RunState(epoch=2, position=0, step=40, skipped=1, train_s=2.0, metrics=[{"epoch": 1}])


def test_evaluated_is_best_first_and_of_equals_the_latest() -> None:
    assert [m["epoch"] for m in state(0.5, None, 0.2, 0.4, 0.2, None).evaluated()] == [5, 3, 4, 1]


@pytest.mark.parametrize(
    ("wers", "best", "last", "since"),
    [
        ([0.5], 0.5, 0.5, 0),
        ([0.5, 0.4, 0.3], 0.3, 0.3, 0),
        ([0.3, 0.4, 0.5], 0.3, 0.5, 2),
        ([0.5, 0.3, None, 0.3, None, 0.3], 0.3, 0.3, 2),  # as good is not better; epochs not evaluated do not count
        ([0.0, None, 1.2], 0.0, 1.2, 1),
    ],
)
def test_best_last_and_since_best(wers: list[float | None], best: float, last: float, since: int) -> None:
    run = state(*wers)
    assert (run.best_wer(), run.last_wer(), run.since_best()) == (best, last, since)


def test_state_before_an_evaluation_has_no_best() -> None:
    for run in (RunState(), state(None, None)):
        assert run.best_wer() is None
        assert run.since_best() == 0
        assert run.evaluated() == []


def test_to_json_through_a_file_gives_an_equal_state() -> None:
    run = state(0.5, 1 / 3, None)
    run.loss_sum, run.train_s, run.grad_norm, run.step = 0.1 + 0.2, 1e-17, float("inf"), 12
    assert RunState(**json.loads(json.dumps(run.to_json()))) == run


def test_two_states_share_no_metrics() -> None:
    state(0.5)
    assert RunState().metrics == []
