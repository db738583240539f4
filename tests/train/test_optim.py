"""Schedules against SpeechBrain's new-bob and torch's own, optimisers with their options."""

from __future__ import annotations

import math

import pytest
import torch

from asr_ligru import torchaudio_import
from asr_ligru.config import TrainConfig
from asr_ligru.train.optim import Schedule, build_optimizer

METRICS = [40.0, 30.0, 29.99, 25.0, 25.0, 25.1, 20.0, 20.0]


def test_newbob_equals_speechbrains() -> None:
    torchaudio_import.ensure()
    from speechbrain.nnet.schedulers import NewBobScheduler

    theirs = NewBobScheduler(1.0, annealing_factor=0.5, improvement_threshold=0.001, patient=0)
    ours = Schedule(TrainConfig(schedule="newbob"))
    for metric in METRICS:
        _, expected = theirs(metric)
        ours.observe(metric)
        assert ours.at(0.5) == expected


def test_plateau_equals_torchs_reduce_on_plateau() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0.001)
    ours = Schedule(TrainConfig(schedule="plateau", patience=1))
    for metric in METRICS:
        theirs.step(metric)
        ours.observe(metric)
        assert ours.at(0.5) == optimizer.param_groups[0]["lr"]


def test_warmup_cosine_rises_linearly_then_falls_to_zero() -> None:
    schedule = Schedule(TrainConfig(schedule="warmup_cosine", warmup_fraction=0.2))
    assert schedule.at(0.1) == pytest.approx(0.5)
    assert schedule.at(0.2) == pytest.approx(1.0)
    assert schedule.at(0.6) == pytest.approx(0.5)
    assert schedule.at(1.0) == pytest.approx(0.0, abs=1e-12)


def test_schedule_restored_goes_on_as_the_unbroken_one() -> None:
    unbroken, before = Schedule(TrainConfig(schedule="newbob")), Schedule(TrainConfig(schedule="newbob"))
    for metric in METRICS[:4]:
        unbroken.observe(metric)
        before.observe(metric)
    after = Schedule(TrainConfig(schedule="newbob"))
    after.restore(before.state())
    for metric in METRICS[4:]:
        unbroken.observe(metric)
        after.observe(metric)
    assert after == unbroken
    assert math.isfinite(after.factor)


@pytest.mark.parametrize(
    ("name", "cls", "option"),
    [
        ("adamw", torch.optim.AdamW, ("betas", (0.9, 0.98))),
        ("adam", torch.optim.Adam, ("betas", (0.9, 0.98))),
        ("rmsprop", torch.optim.RMSprop, ("alpha", 0.95)),
        ("sgd", torch.optim.SGD, ("momentum", 0.9)),
    ],
)
def test_build_optimizer_passes_the_options_on(name: str, cls: type, option: tuple[str, object]) -> None:
    optimizer = build_optimizer([torch.zeros(1)], TrainConfig(optimizer=name, weight_decay=0.1), lr=0.01)
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, cls)
    assert (group["lr"], group["weight_decay"], group[option[0]]) == (0.01, 0.1, option[1])
