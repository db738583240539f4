from __future__ import annotations

import pytest
import torch
from tolerance import assert_close

from asr_ligru.features import fmllr, fmllr_basis
from asr_ligru.features.fmllr_adapt import Limits, adapt
from asr_ligru.features.fmllr_basis import BasisStats, FmllrBasis
from asr_ligru.features.fmllr_stats import FmllrStats

from .fmllr_case import DIM, batch, frames, model, stats_of


@pytest.fixture(scope="module")
def basis() -> FmllrBasis:
    stats = BasisStats.zeros(DIM).accumulate(batch(*[200] * 30))
    precond = fmllr_basis.preconditioner(torch.full((3,), 1 / 3).double(), *model(), 1)
    return fmllr_basis.estimate_basis(stats, precond)


def test_adapt_frames_decide_on_the_kind(basis: FmllrBasis) -> None:
    stats = batch(49, 51, 1999, 2001, 0)
    found = adapt(stats, basis)
    assert found.kinds == ("none", "basis", "basis", "full", "none")
    assert found.reasons == (
        "fewer than 50 frames",
        "no more than 2000 frames",
        "no more than 2000 frames",
        "",
        "fewer than 50 frames",
    )
    assert_close(found.transforms[3], fmllr.estimate(stats).transforms[3])
    assert_close(found.transforms[2], fmllr_basis.estimate(stats, basis).transforms[2])
    assert_close(found.improvement[2], fmllr_basis.estimate(stats, basis).improvement[2])
    assert torch.equal(found.transforms[0], fmllr.identity(DIM))


def test_adapt_without_a_basis_is_diagonal_in_between() -> None:
    stats = batch(10, 100, 2500)
    found = adapt(stats)
    assert found.kinds == ("none", "diag", "full")
    assert_close(found.transforms[1], fmllr.estimate(stats, "diag", min_count=0).transforms[1])


def test_adapt_limits_can_be_moved(basis: FmllrBasis) -> None:
    found = adapt(batch(10, 100, 2500), basis, Limits(identity_below=5, full_above=90))
    assert found.kinds == ("basis", "full", "full")


def test_adapt_keeps_nothing_of_the_statistics(basis: FmllrBasis) -> None:
    found = adapt(batch(10, 100, 2500), basis)
    for kept in (found.transforms, found.improvement, found.count):
        assert kept.untyped_storage().nbytes() == kept.nbytes  # else all of what it is a view of stays in memory


def test_adapt_constant_feature_gets_an_offset_and_a_reason(basis: FmllrBasis) -> None:
    feats, post = frames(2500, 1)
    feats[:, 2] = 5.0
    combination, other = frames(2500, 2)
    combination[:, 2] = combination[:, 0] - combination[:, 1]
    found = adapt(FmllrStats.stack([stats_of(feats, post), stats_of(combination, other)]), basis)
    assert found.kinds == ("offset", "basis")
    assert set(found.reasons) == {"features are constant or combinations of one another"}
    assert bool(found.transforms.isfinite().all())


def test_adapt_statistics_not_finite_leave_the_features_as_they_are(basis: FmllrBasis) -> None:
    stats = batch(2500, 2500)
    stats.table[0, 9] = torch.nan
    found = adapt(stats, basis)
    assert found.kinds == ("none", "full")
    assert found.reasons == ("statistics are not finite", "")
    assert torch.equal(found.transforms[0], fmllr.identity(DIM))
