from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from kaldi_arrays import DOUBLE, FLOAT, KaldiArrays
from torch import Tensor

from asr_ligru.features import fmllr
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.moments import outer
from asr_ligru.hmm.diag_gmm import DiagGmm
from asr_ligru.hmm.gmm_set import GmmSet

TOLERANCE = {
    "near_singular/float64/.*_impr": 1e-8,
    "near_singular/float64/.*_(xform|auxf|logdet)": 1e-5,
    "float64/post$": 1e-6,  # kept in float32
    "float64": DOUBLE,
    "float32/(beta|gconsts|global_beta|.*_count)": FLOAT["statistics"],
    "float32/.*_(xform|logdet)": FLOAT["transforms"],
    "float32/.*_(impr|auxf)": FLOAT["objective"],
}
INPUTS = r"input_|gmm/(weights|means|inv_vars)|^pdf\d+/|/pdfs$|/frame_weights$"
# Kaldi's results are rounding errors where its statistics are singular.
MEANINGLESS = r"(zero_dim|constant_dim|few_distinct_frames)/.*(full|diag|global_full)"
MEANINGFUL_DIAGONAL = r"few_distinct_frames/.*/diag"
UPDATES = {
    "full1": ("full", 1),
    "full10": ("full", 10),
    "full40": ("full", 40),
    "diag": ("diag", 1),
    "offset": ("offset", 1),
}


def mixture(arrays: KaldiArrays, prefix: str) -> DiagGmm:
    return DiagGmm(*(arrays[f"{prefix}/{part}"].double() for part in ("weights", "means", "inv_vars")))


class Results:
    """Collects results for those of Kaldi's arrays that exist, of both builds."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self.found: dict[str, Tensor] = {}

    def put(self, speaker: str, **values: Tensor) -> None:
        for build in ("float32", "float64"):
            for key, value in values.items():
                if (name := f"{speaker}/{build}/{key}") in self._names:
                    self.found[name] = value

    def put_estimates(self, speaker: str, stats: FmllrStats) -> None:
        batch = FmllrStats.stack([stats])
        self.put(speaker, beta=stats.beta, K=stats.K, G=stats.G)
        unit = fmllr.identity(stats.dim)
        self.put(speaker, auxf_unit=fmllr.auxiliary(unit, stats), grad_unit=fmllr.gradient(unit, stats))
        for name, (kind, iterations) in UPDATES.items():
            estimate = fmllr.estimate(batch, kind, iterations=iterations)
            xform = estimate.transforms[0]
            self.put(speaker, **{f"{name}_xform": xform, f"{name}_impr": estimate.improvement[0]})
            self.put(speaker, **{f"{name}_count": estimate.count[0], f"{name}_logdet": fmllr.log_det(xform)})
            self.put(speaker, **{f"{name}_auxf": fmllr.auxiliary(xform, stats)})


def feats_of_small(arrays: KaldiArrays) -> Iterator[tuple[str, Tensor, Tensor | None]]:
    """Yield name, features and frame weights of each speaker and edge case, as Kaldi's README says."""
    jackson, theo = arrays["jackson/input_feats"], arrays["theo/input_feats"]
    yield "jackson", jackson, None
    yield "theo", theo, None
    yield "weighted", jackson, arrays["weighted/input_fweights"]
    yield "below_min_count", theo[:300], None
    yield "halfweight", theo[:640], torch.full((640,), 0.5)
    yield "near_singular", arrays["near_singular/input_feats"], None
    yield "far_off", arrays["far_off/input_feats"], None
    for name, value in (("zero_dim", 0.0), ("constant_dim", 1.75)):
        feats = jackson[:560].clone()
        feats[:, 3] = value
        yield name, feats, None
    yield "few_distinct_frames", arrays["few_distinct_frames/input_feats"], None


def test_fmllr_every_small_array_equals_kaldi(shared: Path) -> None:
    arrays = KaldiArrays(shared, "fmllr_small.npz")
    results, gmm = Results(arrays.names), mixture(arrays, "gmm")
    results.put("gmm", gconsts=gmm.gconsts)
    for speaker, feats, weights in feats_of_small(arrays):
        post, log_likes = gmm.posteriors(feats)
        stats = FmllrStats.zeros(13).accumulate(feats, post, gmm.means, gmm.inv_vars, frame_weights=weights)
        results.put(speaker, post=post, loglike=log_likes)
        results.put_estimates(speaker, stats)
        if weights is None:  # the route through second-order statistics of each Gaussian
            whole = FmllrStats.of_moments(post.T @ outer(feats), gmm.means, gmm.inv_vars)
            xform = fmllr.estimate(FmllrStats.stack([whole])).transforms[0]
            results.put(speaker, global_beta=whole.beta, global_full40_xform=xform)
        if f"{speaker}/input_init_xform" in arrays.names:
            put_from_start(results, speaker, stats, feats, arrays[f"{speaker}/input_init_xform"].double())
    meaningless = {n for n in results.found if re.search(MEANINGLESS, n) and not re.search(MEANINGFUL_DIAGONAL, n)}
    got = {name: value for name, value in results.found.items() if name not in meaningless}
    arrays.check_all(got, TOLERANCE, inputs=INPUTS, not_compared=MEANINGLESS)


def put_from_start(results: Results, speaker: str, stats: FmllrStats, feats: Tensor, start: Tensor) -> None:
    estimate = fmllr.estimate(FmllrStats.stack([stats]), iterations=10, init=start[None])
    xform, moved = estimate.transforms[0], stats.transformed(start)
    results.put(speaker, frominit10_xform=xform, frominit10_impr=estimate.improvement[0])
    results.put(speaker, featxf_K=moved.K, featxf_G=moved.G)
    results.put(speaker, composed=fmllr.compose(xform, start), applied50=fmllr.apply(xform, feats[:50].double()))


def test_fmllr_every_large_array_equals_kaldi(shared: Path) -> None:
    arrays = KaldiArrays(shared, "fmllr_large.npz")
    results, gmm = Results(arrays.names), mixture(arrays, "gmm")
    results.put("gmm", gconsts=gmm.gconsts)
    for speaker in ("jackson", "theo"):
        feats = arrays[f"{speaker}/input_feats"]
        post, log_likes = gmm.posteriors(feats)
        results.put(speaker, loglike=log_likes, post_first20=post[:20])
        results.put_estimates(speaker, FmllrStats.zeros(40).accumulate(feats, post, gmm.means, gmm.inv_vars))
        moments = FmllrStats.of_moments(post.T @ outer(feats), gmm.means, gmm.inv_vars)
        xform = fmllr.estimate(FmllrStats.stack([moments])).transforms[0]
        results.put(speaker, global_beta=moments.beta, global_full40_xform=xform)
    arrays.check_all(results.found, TOLERANCE, inputs=INPUTS)


def test_fmllr_every_array_of_tied_states_equals_kaldi(shared: Path) -> None:
    arrays = KaldiArrays(shared, "fmllr_hmm.npz")
    gmms, results = GmmSet.of([mixture(arrays, f"pdf{i}") for i in range(20)]), Results(arrays.names)
    for speaker in ("jackson", "theo"):
        feats = arrays[f"{speaker}/input_feats"]
        post, gauss, log_likes = gmms.posteriors_within(feats, arrays[f"{speaker}/pdfs"].long())
        stats = FmllrStats.zeros(13).accumulate(
            feats,
            post,
            gmms.gauss.means,
            gmms.gauss.inv_vars,
            gauss=gauss,
            frame_weights=arrays[f"{speaker}/frame_weights"],
        )
        results.put(speaker, loglike=log_likes)
        results.put_estimates(speaker, stats)
    arrays.check_all(results.found, TOLERANCE, inputs=INPUTS)
