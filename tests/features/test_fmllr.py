from __future__ import annotations

from pathlib import Path

import pytest
import torch
from kaldi_arrays import KaldiArrays
from tolerance import assert_close

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features import fmllr, fmllr_reference
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.hmm.diag_gmm import DiagGmm

from .fmllr_case import DIM, batch, frames, model


def test_accumulate_batched_products_equal_the_loop_over_frames() -> None:
    feats, post = frames(37, 2)
    expected = fmllr_reference.accumulate(feats, post, *model())
    assert_close(FmllrStats.zeros(DIM).accumulate(feats, post, *model()).table, expected.table)


def test_accumulate_parts_and_weights_sum_up_to_the_whole() -> None:
    feats, post = frames(9000, 3)  # more than one chunk
    whole = FmllrStats.zeros(DIM).accumulate(feats, post, *model())
    parts = [
        FmllrStats.zeros(DIM).accumulate(feats[part], post[part], *model()) for part in (slice(11), slice(11, None))
    ]
    assert_close((parts[0] + parts[1]).table, whole.table)
    assert_close(parts[0].accumulate(feats[11:], post[11:], *model()).table, whole.table)
    weights = torch.zeros(9000)
    weights[:11] = 1
    weighted = FmllrStats.zeros(DIM).accumulate(feats, post, *model(), frame_weights=weights)
    assert_close(weighted.table, parts[0].table)


def test_accumulate_chosen_gaussians_equal_all_of_them() -> None:
    feats, post = frames(50, 4)
    gauss = post.topk(2).indices
    rest = post.scatter(1, gauss, 0.0)
    chosen = FmllrStats.zeros(DIM).accumulate(feats, post.gather(1, gauss), *model(), gauss=gauss)
    expected = FmllrStats.zeros(DIM).accumulate(feats, post - rest, *model())
    assert_close(chosen.table, expected.table)


@pytest.mark.parametrize("iterations", [1, 3])
def test_estimate_batch_equals_the_loop_over_rows(iterations: int) -> None:
    stats = batch(600, 700, 2000)
    found = fmllr.estimate(stats, iterations=iterations)
    for s in range(3):
        expected = fmllr_reference.estimate_full(FmllrStats(stats.table[s], DIM), iterations)
        assert_close(found.transforms[s], expected)


def test_estimate_more_speakers_than_a_batch_equals_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmllr, "BATCH", 2)
    stats = batch(600, 700, 100, 800, 2000)
    found = fmllr.estimate(stats)
    for s in range(5):
        assert_close(found.transforms[s], fmllr.estimate(FmllrStats(stats.table[s : s + 1], DIM)).transforms[0])
    assert found.kinds == ("full", "full", "none", "full", "full")
    assert found.reasons[2] == "no more than 500 frames"


@pytest.mark.parametrize("kind", ["full", "diag", "offset"])
def test_estimate_improvement_is_that_of_the_likelihood(kind: str) -> None:
    # One Gaussian: posteriors do not change, so that the objective is the log-likelihood up to a constant.
    feats, _ = frames(800, 5)
    means, inv_vars = (part[:1] for part in model())
    stats = FmllrStats.zeros(DIM).accumulate(feats, torch.ones(800, 1), means, inv_vars)
    found = fmllr.estimate(FmllrStats.stack([stats]), kind)
    normal = torch.distributions.Normal(means[0], inv_vars[0].rsqrt())
    adapted = fmllr.apply(found.transforms[0], feats)
    gain = (normal.log_prob(adapted) - normal.log_prob(feats)).sum() + 800 * fmllr.log_det(found.transforms[0])
    assert_close(found.improvement[0], gain)
    assert float(gain) > 0


@pytest.mark.parametrize(("kind", "free"), [("full", slice(None)), ("offset", slice(DIM, None))])
def test_estimate_gradient_is_zero_at_the_best_transform(kind: str, free: slice) -> None:
    stats = batch(700, 900)
    found = fmllr.estimate(stats, kind, iterations=500)
    gradient = fmllr.gradient(found.transforms, stats)[..., free]
    assert float(gradient.abs().max()) < 1e-8 * float(stats.K.abs().max())


def test_gradient_equals_that_of_the_auxiliary_function() -> None:
    stats = batch(700, 900)
    W = (
        fmllr.identity(DIM, 2) + 0.1 * torch.rand(2, DIM, DIM + 1, generator=torch.Generator().manual_seed(1))
    ).requires_grad_()
    (expected,) = torch.autograd.grad(fmllr.auxiliary(W, stats).sum(), W)
    assert_close(fmllr.gradient(W.detach(), stats), expected)


def test_compose_is_one_transform_after_the_other() -> None:
    first, second = torch.randn(2, DIM, DIM + 1, generator=torch.Generator().manual_seed(3)).double()
    feats, _ = frames(20, 6)
    both = fmllr.apply(fmllr.compose(second, first), feats)
    assert_close(both, fmllr.apply(second, fmllr.apply(first, feats)))


def test_transformed_statistics_equal_those_of_transformed_features() -> None:
    feats, post = frames(300, 8)
    W = torch.randn(DIM, DIM + 1, generator=torch.Generator().manual_seed(4)).double()
    moved = FmllrStats.zeros(DIM).accumulate(fmllr.apply(W, feats), post, *model())
    assert_close(FmllrStats.zeros(DIM).accumulate(feats, post, *model()).transformed(W).table, moved.table)


def small(shared: Path, name: str, column: float | None) -> FmllrStats:
    """Return statistics of an edge case of Kaldi's."""
    arrays = KaldiArrays(shared, "fmllr_small.npz")
    gmm = DiagGmm(*(arrays[f"gmm/{part}"].double() for part in ("weights", "means", "inv_vars")))
    feats = arrays[f"{name}/input_feats"][: 560 if column is not None else None].clone()
    if column is not None:
        feats[:, 3] = column
    stats = FmllrStats.zeros(13).accumulate(feats, gmm.posteriors(feats)[0], gmm.means, gmm.inv_vars)
    return FmllrStats.stack([stats])


@pytest.mark.parametrize(
    ("name", "column", "refused"),
    [
        ("jackson", 0.0, {"full", "diag"}),  # Kaldi: exception, assertion
        ("jackson", 1.75, {"full", "diag"}),  # Kaldi: NaN is accepted, assertion
        ("few_distinct_frames", None, {"full"}),  # Kaldi: exception
        ("near_singular", None, set()),
    ],
)
def test_estimate_singular_statistics_keep_the_start(
    shared: Path, name: str, column: float | None, refused: set[str]
) -> None:
    stats = small(shared, name, column)
    for kind in ("full", "diag", "offset"):
        found = fmllr.estimate(stats, kind)
        assert bool(found.transforms.isfinite().all())
        assert found.kinds == ("none" if kind in refused else kind,)
        assert ("constant or combinations" in found.reasons[0]) == (kind in refused)
        assert torch.equal(found.transforms[0], fmllr.identity(13)) == (kind in refused)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_estimate_statistics_not_finite_keep_the_start_and_harm_no_one(value: float) -> None:
    stats = batch(700, 800)
    alone = fmllr.estimate(stats).transforms[1]
    stats.table[0, 5] = value
    found = fmllr.estimate(stats)
    assert found.kinds == ("none", "full")
    assert found.reasons == ("statistics are not finite", "")
    assert torch.equal(found.transforms[0], fmllr.identity(DIM))
    assert_close(found.transforms[1], alone)


def test_estimate_none_gives_unit_transforms_without_a_reason() -> None:
    found = fmllr.estimate(batch(700, 800), "none")
    assert torch.equal(found.transforms, fmllr.identity(DIM, 2))
    assert found.kinds == ("none", "none")
    assert found.reasons == ("", "")


def test_estimate_min_count_must_be_exceeded() -> None:
    stats = batch(600)
    assert fmllr.estimate(stats, min_count=float(stats.beta)).kinds == ("none",)
    assert fmllr.estimate(stats, min_count=float(stats.beta) - 1e-6).kinds == ("full",)


def test_estimate_unknown_kind_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="expected one of full, diag, offset or none, got 'triangular'"):
        fmllr.estimate(batch(600), "triangular")


def test_accumulate_wrong_arrays_are_data_errors() -> None:
    feats, post = frames(20, 9)
    empty = FmllrStats.zeros(DIM)
    with pytest.raises(DataError, match="4 dimensions: got features of shape \\(20, 3\\)"):
        empty.accumulate(feats[:, :3], post, *model())
    with pytest.raises(DataError, match="one length expected, got \\[19, 20\\]"):
        empty.accumulate(feats, post[1:], *model())
    for weight in (-0.1, torch.nan):
        with pytest.raises(DataError, match="frame weights for fMLLR: expected 0 or more"):
            empty.accumulate(feats, post, *model(), frame_weights=torch.full((20,), weight))
    for value in (torch.nan, torch.inf):
        feats[3, 1] = value
        with pytest.raises(DataError, match="NaN or infinity"):
            empty.accumulate(feats, post, *model())


def test_records_say_what_each_speaker_got() -> None:
    first, second = fmllr.estimate(batch(700, 100)).records(["anna", "berta"])
    assert (first["speaker"], first["kind"], first["reason"]) == ("anna", "full", "")
    assert isinstance(first["improvement"], float)
    assert first["improvement"] > 0
    assert (second["kind"], second["improvement"], second["reason"]) == ("none", 0.0, "no more than 500 frames")


@pytest.mark.gpu
def test_estimate_on_gpu_equals_cpu() -> None:
    feats, post = frames(2500, 1)
    model_on_gpu = [part.cuda() for part in model()]
    stats = FmllrStats.zeros(DIM, device="cuda").accumulate(feats.cuda(), post.cuda(), *model_on_gpu)
    expected = FmllrStats.zeros(DIM).accumulate(feats, post, *model())
    assert_close(stats.table.cpu(), expected.table)
    for kind in ("full", "diag", "offset"):
        found = fmllr.estimate(FmllrStats.stack([stats]), kind)
        assert_close(found.transforms.cpu(), fmllr.estimate(FmllrStats.stack([expected]), kind).transforms)
