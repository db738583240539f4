from __future__ import annotations

import pytest
import torch
from tolerance import assert_close
from torch import Tensor, distributions

from asr_ligru.errors import DataError
from asr_ligru.hmm import gmm_set
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats
from asr_ligru.hmm.gmm_set import GmmSet

SIZES, DIM = (2, 1, 5, 3), 4


@pytest.fixture
def gmms() -> GmmSet:
    generator = torch.Generator().manual_seed(1)
    mixtures = []
    for size in SIZES:
        weights = torch.rand(size, generator=generator).double() + 0.1
        means, inv_vars = torch.randn(2, size, DIM, generator=generator).double()
        mixtures.append(DiagGmm(weights / weights.sum(), means, inv_vars.exp()))
    return GmmSet.of(mixtures)


def aligned(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, DIM, generator=generator), torch.randint(len(SIZES), (count,), generator=generator)


def test_log_likes_equal_those_of_torch_distributions(gmms: GmmSet, monkeypatch: pytest.MonkeyPatch) -> None:
    feats, _ = aligned(50)
    expected = torch.stack([torch_mixture(gmms[pdf]).log_prob(feats.double()) for pdf in range(len(SIZES))], 1)
    assert_close(gmms.log_likes(feats), expected)
    monkeypatch.setattr(gmm_set, "_CHUNK_VALUES", 7 * len(SIZES) * max(SIZES))  # frames in several parts
    assert_close(gmms.log_likes(feats), expected)


def torch_mixture(gmm: DiagGmm) -> distributions.MixtureSameFamily:
    normals = distributions.Independent(distributions.Normal(gmm.means, gmm.inv_vars.rsqrt()), 1)
    return distributions.MixtureSameFamily(distributions.Categorical(gmm.weights), normals)


@pytest.mark.parametrize("count", [1, 31, 400])  # fewer and more than a block
def test_posteriors_within_equal_those_of_each_mixture(gmms: GmmSet, count: int) -> None:
    feats, pdfs = aligned(count)
    post, gauss, log_likes = gmms.posteriors_within(feats, pdfs)
    for t, pdf in enumerate(pdfs.tolist()):
        expected, total = gmms[pdf].posteriors(feats[t : t + 1])
        size = SIZES[pdf]
        assert_close(post[t, :size], expected[0])
        assert post[t, size:].sum() == 0
        assert_close(log_likes[t], total[0])
        assert gauss[t, :size].tolist() == list(range(int(gmms.offsets[pdf]), int(gmms.offsets[pdf + 1])))


def test_accumulate_equals_the_loop_over_mixtures(gmms: GmmSet) -> None:
    feats, pdfs = aligned(300)
    weights = torch.rand(300, generator=torch.Generator().manual_seed(3))
    stats, log_likes = gmms.accumulate(feats, pdfs, weights)
    for pdf in range(len(SIZES)):
        mine = pdfs == pdf
        post, totals = gmms[pdf].posteriors(feats[mine])
        expected = GmmStats.zeros(gmms[pdf]).accumulate(feats[mine], post * weights[mine, None].double())
        assert_close(stats.table[gmms.pdf_of_gauss == pdf], expected.table)
        assert_close(log_likes[mine], totals)


def test_accumulate_shards_sum_up_to_the_whole(gmms: GmmSet) -> None:
    feats, pdfs = aligned(300)
    parts = [gmms.accumulate(feats[part], pdfs[part])[0] for part in (slice(70), slice(70, None))]
    assert_close((parts[0] + parts[1]).table, gmms.accumulate(feats, pdfs)[0].table)


def test_accumulate_sums_of_other_features_with_the_same_posteriors(gmms: GmmSet) -> None:
    feats, pdfs = aligned(100)
    plain, _ = gmms.accumulate(feats, pdfs)
    moved, _ = gmms.accumulate(feats, pdfs, sums_of=2 * feats)
    assert_close(moved.occ, plain.occ)
    assert_close(moved.mean_acc, 2 * plain.mean_acc)
    assert_close(moved.var_acc, 4 * plain.var_acc)


def test_accumulate_no_frames_gives_zeros(gmms: GmmSet) -> None:
    stats, log_likes = gmms.accumulate(torch.zeros(0, DIM), torch.zeros(0, dtype=torch.int64))
    assert stats.table.abs().sum() == 0
    assert len(log_likes) == 0


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_features_not_finite_are_a_data_error(gmms: GmmSet, value: float) -> None:
    feats, pdfs = aligned(10)
    feats[4, 1] = value
    with pytest.raises(DataError, match="NaN or infinity"):
        gmms.log_likes(feats)
    with pytest.raises(DataError, match="NaN or infinity"):
        gmms.accumulate(feats, pdfs)
    with pytest.raises(DataError, match="NaN or infinity"):
        gmms.posteriors_within(feats, pdfs)


def test_features_or_alignments_of_another_size_are_data_errors(gmms: GmmSet) -> None:
    feats, pdfs = aligned(10)
    with pytest.raises(DataError, match=r"4 a frame: got an array of shape \(10, 3\)"):
        gmms.log_likes(feats[:, 1:])
    with pytest.raises(DataError, match="9 frames for features of 10"):
        gmms.accumulate(feats, pdfs[1:])
    with pytest.raises(DataError, match="expected 0 to 3, got 1 to 4"):
        gmms.posteriors_within(feats, torch.tensor([1, 4, 2, 2, 2, 2, 2, 2, 2, 2]))
