from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from tolerance import assert_close
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.features import fmllr
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.lda_mllt import LdaStats, MlltStats, estimate_lda, estimate_mllt
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats
from tests.features.fmllr_case import DIM, NUM_GAUSS, frames, model

NUM_RANKS, NUM_SPEAKERS = 2, 3


def results(rank: int, num_ranks: int) -> dict[str, Tensor]:
    """Take every ``num_ranks``-th frame of each speaker, sum over the ranks, and estimate."""
    means, inv_vars = model()
    gmm = DiagGmm(torch.full((NUM_GAUSS,), 1 / NUM_GAUSS).double(), means, inv_vars)
    speakers, lda, sums = [], LdaStats.zeros(NUM_GAUSS, DIM), GmmStats.zeros(gmm)
    for seed in range(NUM_SPEAKERS):
        feats, post = (array[rank::num_ranks] for array in frames(600, seed))
        speakers.append(FmllrStats.zeros(DIM).accumulate(feats, post, means, inv_vars))
        lda, sums = lda.accumulate(feats, post.argmax(1)), sums.accumulate(feats, post)
    stats = FmllrStats.stack(speakers)
    whole = FmllrStats(stats.table.sum(0), DIM)
    mllt = MlltStats.zeros(DIM).add(whole, sums.table, means, inv_vars)
    ranks.add_up(stats.table, lda.classes, lda.scatter, mllt.table)
    return {
        "fmllr": fmllr.estimate(stats).transforms,
        "lda": estimate_lda(lda, 2).matrix,
        "mllt": estimate_mllt(mllt, iterations=5).matrix,
    }


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=NUM_RANKS)
    found = results(rank, NUM_RANKS)
    np.savez(Path(folder) / f"{rank}.npz", **{name: value.numpy() for name, value in found.items()})
    dist.destroy_process_group()


def test_add_up_two_ranks_estimate_what_one_process_does(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(work, (str(tmp_path),), NUM_RANKS, start_method="fork")
    expected = results(0, 1)
    for rank in range(NUM_RANKS):
        with np.load(tmp_path / f"{rank}.npz") as found:
            for name, value in expected.items():
                assert_close(torch.from_numpy(found[name]), value, name)


def test_add_up_without_ranks_changes_nothing() -> None:
    table = torch.arange(3.0)
    ranks.add_up(table)
    assert table.tolist() == [0, 1, 2]
