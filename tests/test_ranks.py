from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tolerance import assert_close
from torch import Tensor

from asr_ligru import ranks
from asr_ligru.features import fmllr
from asr_ligru.features.fmllr_stats import FmllrStats
from asr_ligru.features.lda_mllt import LdaStats, MlltStats, estimate_lda, estimate_mllt
from asr_ligru.hmm.diag_gmm import DiagGmm, GmmStats
from asr_ligru.safety.folder_lock import locked
from tests import several_ranks
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


def assert_told(folder: Path) -> None:
    number = ranks.rank()
    assert ranks.gathered({"id": "é\u2028", "x": 0.1 * number}) == [{"id": "é\u2028", "x": 0.1 * n} for n in range(3)]
    assert [len(t) for t in ranks.gathered_tensors(torch.zeros(number, dtype=torch.int32))] == [0, 1, 2]
    assert ranks.merged({str(number): number, "all": number}) == {"0": 0, "1": 1, "2": 2, "all": 2}
    assert ranks.highest(number, -number) == [2, 0]
    everything = list(range(7))
    assert ranks.dealt(ranks.gathered(ranks.share(everything))) == everything
    with ranks.held(folder, print):
        with pytest.raises(InterruptedError), locked(folder, interrupt):
            pass
        ranks.wait_for_all()


def interrupt(holder: str) -> None:
    raise InterruptedError(holder)


def test_ranks_tell_each_other_and_hold_a_folder_together(tmp_path: Path) -> None:
    several_ranks.run(3, lambda: assert_told(tmp_path / "folder"))


def test_held_folder_of_another_run_is_waited_for_once_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holders: list[str] = []
    other = ExitStack()
    other.enter_context(locked(tmp_path, print))
    monkeypatch.setattr("asr_ligru.ranks.time.sleep", lambda seconds: other.close())
    with ranks.held(tmp_path, holders.append):
        assert len(holders) == 1
        with pytest.raises(InterruptedError), locked(tmp_path, interrupt):
            pass
