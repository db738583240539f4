from __future__ import annotations

from pathlib import Path

import pytest
import torch
from kaldi_arrays import DOUBLE, FLOAT, KaldiArrays
from tolerance import assert_close
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.features import fmllr, fmllr_basis
from asr_ligru.features.fmllr_basis import BasisStats, FmllrBasis
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.hmm.diag_gmm import DiagGmm

from .fmllr_case import DIM, batch, frames, model, stats_of

TOLERANCE = {
    "float64": DOUBLE,
    "beta|scatter|precond": FLOAT["statistics"],
    "mats|xform|coef": FLOAT["transforms"],
    "size": 0.0,
    "impr": FLOAT["objective"],
}


def speaker_stats(arrays: KaldiArrays, speakers: list[str], gmm: DiagGmm) -> FmllrStats:
    feats = [arrays[f"{speaker}/input_feats"] for speaker in speakers]
    empty = FmllrStats.zeros(gmm.dim)
    return FmllrStats.stack([empty.accumulate(x, gmm.posteriors(x)[0], gmm.means, gmm.inv_vars) for x in feats])


def test_basis_every_array_equals_kaldi(shared: Path) -> None:
    arrays = KaldiArrays(shared, "fmllr_basis.npz")
    gmm = DiagGmm(*(arrays[f"gmm/{part}"].double() for part in ("weights", "means", "inv_vars")))
    speakers = sorted({name.rpartition("/")[0] for name in arrays.names if name.endswith("/input_feats")})
    train = [name for name in speakers if name.startswith("train/")]
    stats = speaker_stats(arrays, train, gmm)
    scatter = BasisStats.zeros(gmm.dim).accumulate(stats)
    precond = fmllr_basis.preconditioner(gmm.weights, gmm.means, gmm.inv_vars, 1)
    basis = fmllr_basis.estimate_basis(scatter, precond).matrices.flatten(1)
    got: dict[str, Tensor] = {}
    for build in ("float32", "float64"):
        prefix = f"basis/{build}"
        kaldi = arrays[f"{prefix}/mats"].double()
        got[f"{prefix}/mats"] = basis * (basis * kaldi).sum(1, keepdim=True).sign()
        got |= {f"{prefix}/grad_scatter": scatter.table, f"{prefix}/precond": precond}
        got[f"{prefix}/beta"] = stats.beta.sum()
        got |= transforms(arrays, speakers, build, gmm)
    arrays.check_all(got, TOLERANCE, inputs="input_feats|gmm/")


def transforms(arrays: KaldiArrays, speakers: list[str], build: str, gmm: DiagGmm) -> dict[str, Tensor]:
    """Return the results for the speakers that have some, with the basis of that build of Kaldi."""
    basis = FmllrBasis(arrays[f"basis/{build}/mats"].double().view(-1, gmm.dim, gmm.dim + 1))
    names = [name for name in speakers if f"{name}/{build}/beta" in arrays.names]
    stats = speaker_stats(arrays, names, gmm)
    estimate, (_, coefficients) = fmllr_basis.estimate(stats, basis), fmllr_basis.combine(stats, basis)
    got = {}
    for s, name in enumerate(names):
        prefix, size = f"{name}/{build}", int((coefficients[s] != 0).sum())
        got[f"{prefix}/beta"] = stats.beta[s]
        got[f"{prefix}/basis_impr"] = estimate.improvement[s]
        got[f"{prefix}/basis_size"] = torch.tensor(0 if estimate.reasons[s] else size)
        if f"{prefix}/basis_xform" in arrays.names:
            got[f"{prefix}/basis_xform"] = estimate.transforms[s]
            got[f"{prefix}/basis_coef"] = coefficients[s, :size]
    return got


def precond() -> Tensor:
    return fmllr_basis.preconditioner(torch.full((3,), 1 / 3).double(), *model(), 1)


def trained(num_speakers: int) -> FmllrBasis:
    stats = BasisStats.zeros(DIM).accumulate(batch(*[200] * num_speakers))
    return fmllr_basis.estimate_basis(stats, precond())


def test_preconditioner_is_the_expected_second_derivative() -> None:
    # Frames drawn from the model itself: minus the second derivative of the objective of a frame.
    means, inv_vars = model()
    generator = torch.Generator().manual_seed(1)
    feats = means.repeat(60_000, 1)
    feats += torch.randn(feats.shape, generator=generator) * inv_vars.rsqrt().repeat(60_000, 1)
    stats = stats_of(feats, torch.eye(3).repeat(60_000, 1))
    W = fmllr.identity(DIM).requires_grad_()
    slopes = fmllr.gradient(W, stats).flatten()
    expected = -torch.stack([torch.autograd.grad(slope, W, retain_graph=True)[0].flatten() for slope in slopes])
    expected /= stats.beta
    torch.testing.assert_close(precond(), expected, rtol=0.02, atol=0.02)


def test_estimate_basis_has_no_more_matrices_than_speakers_differ() -> None:
    assert len(trained(3).matrices) == 3
    assert len(trained(60).matrices) == DIM * (DIM + 1)


def test_estimate_each_speaker_alone_equals_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmllr_basis, "BATCH", 2)
    stats, basis = batch(60, 90, 33, 400, 1000), trained(60)
    found = fmllr_basis.estimate(stats, basis)
    assert found.kinds == ("basis", "basis", "none", "basis", "basis")
    assert found.reasons[2] == "fewer than 50 frames"
    for s in range(5):
        alone = fmllr_basis.estimate(stats[torch.tensor([s])], basis)
        assert_close(found.transforms[s], alone.transforms[0])
    assert bool((found.improvement[[0, 1, 3, 4]] > 0).all())


def test_estimate_gain_lies_between_none_and_full() -> None:
    stats = batch(700, 2000)
    found, full = fmllr_basis.estimate(stats, trained(60)), fmllr.estimate(stats)
    assert bool((found.improvement <= full.improvement).all())
    assert bool((found.improvement > 0.5 * full.improvement).all())


def test_estimate_constant_feature_keeps_the_start() -> None:
    feats, post = frames(200, 1)
    feats[:, 2] = 5.0
    found = fmllr_basis.estimate(FmllrStats.stack([stats_of(feats, post)]), trained(5))
    assert found.kinds == ("none",)
    assert torch.equal(found.transforms[0], fmllr.identity(DIM))


def test_accumulate_speakers_without_frames_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    stats = batch(200, 0, 300)
    expected = BasisStats.zeros(DIM).accumulate(stats[torch.tensor([0, 2])])
    assert not caplog.records
    assert_close(BasisStats.zeros(DIM).accumulate(stats).table, expected.table)
    assert "1 of 3 speakers left out" in caplog.text


def test_basis_statistics_of_shards_sum_up() -> None:
    stats = batch(200, 250, 300)
    parts = [BasisStats.zeros(DIM).accumulate(stats[torch.tensor(part)]) for part in ([0], [1, 2])]
    assert_close((parts[0] + parts[1]).table, BasisStats.zeros(DIM).accumulate(stats).table)


def test_estimate_basis_without_speakers_or_of_another_size_is_a_data_error() -> None:
    with pytest.raises(DataError, match="no statistics of training speakers"):
        fmllr_basis.estimate_basis(BasisStats.zeros(DIM), precond())
    with pytest.raises(DataError, match="do not vary in all features"):
        fmllr_basis.estimate_basis(BasisStats.zeros(DIM), torch.zeros(20, 20).double())
    with pytest.raises(DataError, match="basis of 4 features, statistics of 5"):
        fmllr_basis.estimate(FmllrStats.zeros(5, 1), trained(2))
