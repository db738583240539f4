from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kaldi_arrays import DOUBLE, FLOAT, KaldiArrays
from tolerance import assert_close
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.lda_mllt import LdaStats, MlltStats, estimate_lda, estimate_mllt
from asr_ligru.features.splice import splice
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats

TOLERANCE = {
    "float64": DOUBLE,
    "(mat|lda_mat)$": FLOAT["transforms"],
    "impr": FLOAT["objective"],
    "": FLOAT["statistics"],
}
NUM_CLASSES = 50  # digits times five parts


def spliced(arrays: KaldiArrays) -> Tensor:
    lengths = arrays["utt_lengths"].tolist()
    return torch.cat([splice(feats, 4, 4) for feats in arrays["raw_mfcc_cmn"].split(lengths)])


def gmm_of(arrays: KaldiArrays, name: str) -> DiagGmm:
    return DiagGmm(*(arrays[f"{name}/gmm/{part}"].double() for part in ("weights", "means", "inv_vars")))


def mllt_stats(feats: Tensor, gmm: DiagGmm) -> MlltStats:
    post, _ = gmm.posteriors(feats)
    stats = FmllrStats.zeros(gmm.dim).accumulate(feats, post, gmm.means, gmm.inv_vars)
    sums = GmmStats.zeros(gmm).accumulate(feats, post).table
    return MlltStats.zeros(gmm.dim).add(stats, sums, gmm.means, gmm.inv_vars)


def lda_results(arrays: KaldiArrays) -> dict[str, Tensor]:
    stats = LdaStats.zeros(NUM_CLASSES, 117).accumulate(spliced(arrays), arrays["labels"].long())
    lda, results = estimate_lda(stats, 40), {}
    for build in ("float32", "float64"):
        signs = (lda.matrix * arrays[f"lda/{build}/lda_mat"]).sum(1).sign()
        results[f"lda/{build}/lda_mat"] = lda.matrix * signs[:, None]
        results["lda/float64/lda_offset_column"] = lda.offset * signs
    # 50 classes differ in 49 directions. The others are arbitrary, but not what they span together.
    known = estimate_lda(stats, NUM_CLASSES - 1).matrix
    kaldi, rest = arrays["lda/float64/lda_full"].split([NUM_CLASSES - 1, 117 - NUM_CLASSES + 1])
    _, within, _ = stats.covariances()
    unexplained = rest - rest @ within @ known.T @ known
    signs = (known * kaldi).sum(1).sign()
    results["lda/float64/lda_full"] = torch.cat([known * signs[:, None], unexplained])
    assert_close(rest @ within @ rest.T, torch.eye(len(rest), dtype=torch.float64), "covariance of Kaldi's other rows")
    return results


def mllt_results(name: str, feats: Tensor, gmm: DiagGmm) -> dict[str, Tensor]:
    stats = mllt_stats(feats, gmm)
    mllt, results = estimate_mllt(stats), {}
    for build in ("float32", "float64"):
        for key, value in (("impr", mllt.improvement), ("count", mllt.count), ("beta", stats.beta)):
            results[f"{name}/{build}/{key}"] = torch.as_tensor(value, dtype=torch.float64)
        results[f"{name}/{build}/mat"] = mllt.matrix
    return results | ({f"{name}/float64/G": stats.G} if name == "mllt_small" else {})


def test_lda_mllt_every_array_equals_kaldi(shared: Path) -> None:
    arrays = KaldiArrays(shared, "lda_mllt.npz")
    projected = (spliced(arrays).double() @ arrays["lda/float32/lda_mat"].double().T).float()
    results = lda_results(arrays)
    results |= mllt_results("mllt_small", arrays["mllt_small/feats"], gmm_of(arrays, "mllt_small"))
    results |= mllt_results("mllt", projected, gmm_of(arrays, "mllt"))
    arrays.check_all(results, TOLERANCE, inputs="raw_mfcc_cmn|utt_lengths|labels|feats|gmm/")


def labelled(count: int) -> tuple[Tensor, Tensor]:
    """Return frames of 4 features in 3 classes."""
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(3, (count,), generator=generator)
    return torch.randn(count, 4, generator=generator) + classes[:, None] * torch.tensor([0.0, 2.0, 0.0, -1.0]), classes


def lda_stats(feats: Tensor, classes: Tensor, weights: Tensor | None = None) -> LdaStats:
    return LdaStats.zeros(3, 4).accumulate(feats, classes, weights)


def test_lda_projection_has_unit_covariance_within_the_classes() -> None:
    feats, classes = labelled(500)
    lda = estimate_lda(lda_stats(feats, classes), 2)
    projected = feats.double() @ lda.matrix.T + lda.offset
    centred = torch.cat([projected[classes == c] - projected[classes == c].mean(0) for c in range(3)])
    assert_close(centred.T @ centred / 500, torch.eye(2, dtype=torch.float64))
    assert float(projected.mean(0).abs().max()) < 1e-12
    assert not lda.smoothed


def test_lda_statistics_of_shards_sum_up_and_weights_count() -> None:
    feats, classes = labelled(300)
    whole = lda_stats(feats, classes)
    added = lda_stats(feats[:90], classes[:90]) + lda_stats(feats[90:], classes[90:])
    assert_close(added.classes, whole.classes)
    assert_close(added.scatter, whole.scatter)
    first = lda_stats(feats, classes, (torch.arange(300) < 90).float())
    assert_close(first.scatter, lda_stats(feats[:90], classes[:90]).scatter)


def test_lda_singular_features_are_smoothed_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    feats, classes = labelled(300)
    feats[:, 2] = feats[:, 0]
    lda = estimate_lda(lda_stats(feats, classes), 2)
    assert lda.smoothed
    assert bool(lda.matrix.isfinite().all())
    assert "variance is added" in caplog.text


def test_lda_impossible_requests_are_data_errors() -> None:
    feats, classes = labelled(300)
    with pytest.raises(DataError, match="LDA to 3 features: expected 1 to 2 from 3 classes"):
        estimate_lda(lda_stats(feats, classes), 3)
    with pytest.raises(DataError, match="expected 1 to 1 from 2 classes"):
        estimate_lda(lda_stats(feats, classes.clamp(max=1)), 2)
    with pytest.raises(DataError, match="no feature varies"):
        estimate_lda(lda_stats(classes[:, None].expand(-1, 4).float(), classes), 2)
    with pytest.raises(DataError, match="expected 0 to 2, got 1 to 3"):
        lda_stats(feats, classes + 1)
    with pytest.raises(DataError, match=r"4 features: got features of shape \(300, 3\) and 300 classes"):
        lda_stats(feats[:, 1:], classes)
    with pytest.raises(DataError, match="NaN or infinity"):
        lda_stats(feats / 0, classes)


def diagonal_model() -> DiagGmm:
    ones = torch.ones(1, dtype=torch.float64)
    return DiagGmm(ones, torch.zeros(1, 4, dtype=torch.float64), torch.ones(1, 4, dtype=torch.float64))


def test_mllt_improvement_is_that_of_the_likelihood() -> None:
    feats, _ = labelled(400)
    gmm = diagonal_model()
    mllt = estimate_mllt(mllt_stats(feats, gmm))
    rotated = DiagGmm(gmm.weights, gmm.means @ mllt.matrix.T, gmm.inv_vars)
    gain = rotated.log_likes(feats.double() @ mllt.matrix.T) - gmm.log_likes(feats)
    assert_close(
        torch.tensor(mllt.improvement, dtype=torch.float64), (gain + torch.linalg.slogdet(mllt.matrix)[1]).sum()
    )
    assert mllt.improvement > 0


@pytest.mark.parametrize(
    ("count", "spoil", "reason"),
    [
        (39, lambda feats: feats, "39 frames, fewer than 40"),
        (400, lambda feats: feats.index_fill(1, torch.tensor(2), 0.0), "constant or combinations"),
    ],
)
def test_mllt_impossible_keeps_the_features_and_says_why(
    caplog: pytest.LogCaptureFixture, count: int, spoil: Callable[[Tensor], Tensor], reason: str
) -> None:
    mllt = estimate_mllt(mllt_stats(spoil(labelled(count)[0]), diagonal_model()))
    assert torch.equal(mllt.matrix, torch.eye(4, dtype=torch.float64))
    assert mllt.improvement == 0
    assert reason in mllt.reason
    assert reason in caplog.text
