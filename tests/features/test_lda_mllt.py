from __future__ import annotations

from pathlib import Path

import torch
from kaldi_arrays import DOUBLE, FLOAT, KaldiArrays
from tolerance import assert_close
from torch import Tensor

from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.lda_mllt import LdaStats, MlltStats, estimate_lda, estimate_mllt
from asr_ligru.features.splice import splice
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats

TOLERANCE = {
    "float64/impr": 1e-7,  # kept in float32
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
            results[f"{name}/{build}/{key}"] = torch.as_tensor(value)
        results[f"{name}/{build}/mat"] = mllt.matrix
    return results | ({f"{name}/float64/G": stats.G} if name == "mllt_small" else {})


def test_lda_mllt_every_array_equals_kaldi(shared: Path) -> None:
    arrays = KaldiArrays(shared, "lda_mllt.npz")
    projected = (spliced(arrays).double() @ arrays["lda/float32/lda_mat"].double().T).float()
    results = lda_results(arrays)
    results |= mllt_results("mllt_small", arrays["mllt_small/feats"], gmm_of(arrays, "mllt_small"))
    results |= mllt_results("mllt", projected, gmm_of(arrays, "mllt"))
    arrays.check_all(results, TOLERANCE, inputs="raw_mfcc_cmn|utt_lengths|labels|feats|gmm/")
