from __future__ import annotations

from pathlib import Path

import pytest
import torch
from kaldi_arrays import DOUBLE, KaldiArrays
from tolerance import assert_close
from torch import Tensor

from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.gmm_update import UpdateOptions, split, split_targets, update

CASES = {"plain": 4, "remove_low": 2, "keep_low": 2, "var_floor": 2}  # and their iterations
TOLERANCE = {
    "float64": DOUBLE,
    "targets|floored|removed": 0.0,
    "loglike|count|acc|occ": 1e-5,
    "": 1e-4,
}
BUILDS = ("float32", "float64")


def iterate(case: str, gmm: DiagGmm, feats: Tensor) -> dict[str, Tensor]:
    """Return what Kaldi recorded of each iteration, by the names it has there."""
    options, results = UpdateOptions(remove_low_count=case != "keep_low"), {}
    for k in range(CASES[case]):
        post, log_likes = gmm.posteriors(feats)
        stats = GmmStats.zeros(gmm).accumulate(feats, post)
        gmms, report = update(GmmSet.of([gmm]), stats, options)
        gmm = gmms[0]
        values = {
            "loglike": log_likes.sum(),
            "obj_change": report.objective_change,
            "count": report.count,
            "floored_elements": report.floored_elements,
            "floored_gauss": report.floored_gaussians,
            "removed": report.removed_gaussians,
            "weights": gmm.weights,
            "means": gmm.means,
            "inv_vars": gmm.inv_vars,
            "gconsts": gmm.gconsts,
        }
        if k == 0:
            values |= {"occ": stats.occ, "mean_acc": stats.mean_acc, "var_acc": stats.var_acc}
        results |= {f"it{k}_{key}": torch.as_tensor(value, dtype=torch.float64) for key, value in values.items()}
    return results


def test_update_every_array_equals_kaldi(shared: Path) -> None:
    arrays = KaldiArrays(shared, "gmm_em.npz")
    got = {}
    for case in CASES:
        feats = arrays["feats"].clone()
        if case == "var_floor":
            feats[:, 4] = arrays["feats_var_floor_dim4"]
        init = DiagGmm(*(arrays[f"{case}/init/{part}"].double() for part in ("weights", "means", "inv_vars")))
        for key, value in iterate(case, init, feats).items():
            got |= {f"{case}/{build}/{key}": value for build in BUILDS}
    queries = arrays["split_targets/queries"].tolist()
    occs = arrays["split_targets/occs"]
    targets = torch.stack([split_targets(occs, int(total), power, least) for total, power, least in queries])
    got |= {f"split_targets/{build}/targets": targets for build in BUILDS}
    arrays.check_all(got, TOLERANCE, inputs="^feats|/init/|occs|queries")


def random_set(*sizes: int, dim: int = 3) -> GmmSet:
    generator = torch.Generator().manual_seed(5)
    mixtures = []
    for size in sizes:
        weights = torch.rand(size, generator=generator).double() + 0.1
        means = torch.randn(size, dim, generator=generator).double()
        mixtures.append(
            DiagGmm(weights / weights.sum(), means, torch.rand(size, dim, generator=generator).double() + 0.5)
        )
    return GmmSet.of(mixtures)


def test_update_pdf_without_frames_stays_as_it_is() -> None:
    gmms, generator = random_set(1, 2), torch.Generator().manual_seed(1)
    feats = torch.randn(500, 3, generator=generator)
    stats, _ = gmms.accumulate(feats, torch.ones(500, dtype=torch.int64))
    updated, report = update(gmms, stats)
    assert_close(updated[0].means, gmms[0].means)
    assert_close(updated[0].weights, gmms[0].weights)
    assert report.low_count_gaussians == 1
    assert not torch.equal(updated[1].means, gmms[1].means)


def test_update_each_pdf_alone_equals_all_together() -> None:
    gmms, generator = random_set(2, 1, 4), torch.Generator().manual_seed(2)
    feats, pdfs = torch.randn(900, 3, generator=generator), torch.randint(3, (900,), generator=generator)
    updated, _ = update(gmms, gmms.accumulate(feats, pdfs)[0])
    for pdf in range(3):
        mine = feats[pdfs == pdf]
        stats = GmmStats.zeros(gmms[pdf]).accumulate(mine, gmms[pdf].posteriors(mine)[0])
        alone, _ = update(GmmSet.of([gmms[pdf]]), stats)
        assert_close(updated[pdf].coefficients, alone[0].coefficients)


@pytest.mark.parametrize("remove", [True, False])
def test_update_last_gaussian_of_a_pdf_is_never_removed(remove: bool) -> None:
    gmms = random_set(2, 3)
    few = torch.zeros(4, dtype=torch.int64)
    updated, _ = update(gmms, gmms.accumulate(torch.randn(4, 3), few)[0], UpdateOptions(remove_low_count=remove))
    assert updated.sizes.tolist() == ([1, 1] if remove else [2, 3])
    if remove:
        assert_close(updated.gauss.weights, torch.ones(2, dtype=torch.float64))


def test_split_grows_to_the_targets_and_hardly_changes_the_likelihood() -> None:
    gmms = random_set(1, 2, 3)
    grown = split(gmms, torch.tensor([4, 1, 5]), torch.Generator().manual_seed(3))
    assert grown.sizes.tolist() == [4, 2, 5]
    assert_close(grown.sum_by_pdf(grown.gauss.weights), torch.ones(3, dtype=torch.float64))
    feats = torch.randn(100, 3, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(grown.log_likes(feats), gmms.log_likes(feats), rtol=0, atol=0.02)
    assert_close(grown[1].means, gmms[1].means)


def test_split_takes_the_heaviest_gaussian_and_keeps_its_mean() -> None:
    gmms = GmmSet.of([DiagGmm(torch.tensor([0.3, 0.7]).double(), torch.eye(2).double(), torch.ones(2, 2).double())])
    grown = split(gmms, torch.tensor([3]), torch.Generator().manual_seed(3)).gauss
    assert_close(grown.weights, torch.tensor([0.3, 0.35, 0.35]).double())
    assert_close(grown.means[1:].mean(0), gmms.gauss.means[1])
    assert 0 < float((grown.means[1] - grown.means[2]).norm()) < 0.2
