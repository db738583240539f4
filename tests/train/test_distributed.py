"""Several processes do what one does: real batches of AN4, divided in parts of unequal size."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from asr_ligru import ranks
from asr_ligru.compose import compose
from asr_ligru.config import Config
from asr_ligru.data.manifest import write_manifest
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.models.build import build_model
from asr_ligru.models.folder import read_model_folder
from asr_ligru.train import checkpoint, distributed, objective, run
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.interrupt import Interrupted
from asr_ligru.typing import Batch, Utterance
from tests import several_ranks
from tests.run_metrics import metrics_of
from tests.tiny_corpus import OVERRIDES, write_corpus
from tests.tolerance import assert_close

# Batches of one to eight utterances; a learning rate that leaves the parameters as they are.
SETTINGS = ("recipe=an4_ctc_ligru", "cell.hidden_size=16", "cell.num_layers=2", "train.batch_frames=1200",
            "train.accumulate=3", "train.optimizer=sgd", "train.lr=1e-12",
            "train.progress=false", "train.threads=1", "features.cache=false")  # fmt: skip


@pytest.fixture(scope="module")
def an4(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write manifests of the first utterances of the corpus."""
    folder, root = tmp_path_factory.mktemp("an4"), shared / "corpora" / "an4"
    lines = (root / "etc" / "an4_train.transcription").read_text(encoding="utf-8").splitlines()[:23]
    utterances = []
    for text, _, utt_id in (line.replace("<s>", "").replace("</s>", "").rpartition("(") for line in lines):
        path = next((root / "wav").rglob(f"{utt_id[:-1]}.*"))
        seconds = soundfile.info(str(path)).duration
        utterances.append(Utterance(utt_id[:-1], path, seconds, text.strip(), path.parent.name))
    write_manifest(folder / "train.jsonl", utterances)
    write_manifest(folder / "dev.jsonl", utterances[:2])  # not looked at
    return folder


class EndOfEpoch(Exception):
    """Ends the run behind its first epoch."""


def double_losses(log_probs: torch.Tensor, lens: torch.Tensor, batch: Batch) -> torch.Tensor:
    return torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), batch.tokens, lens, batch.token_lens, reduction="none"
    )


def recorded(config: Config) -> None:
    """Train an epoch in float64, and write the gradients of each update and who was counted in each batch."""
    arrays: dict[str, Any] = {}
    seen: list[list[str]] = []
    fit, update = AsrBrain.fit_batch, AsrBrain._update

    def noted_fit(self: AsrBrain, batch: Batch) -> Any:
        counted = ranks.rank() < len(self.train_batches.batches[self.state.position])
        seen.append(list(batch.utt_ids) if counted else [])
        return fit(self, replace(batch, feats=batch.feats.double()))

    def noted_update(self: AsrBrain) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.optimizer, "zero_grad", lambda set_to_none: None)
            found = update(self)
        for name, parameter in self.modules.model.named_parameters():
            arrays[f"{self.state.step}/{name}"] = parameter.grad.numpy().copy()
        self.optimizer.zero_grad(set_to_none=True)
        return found

    def end(*_: object, **__: object) -> None:
        raise EndOfEpoch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "build_model", lambda *args: build_model(*args).double())
        patch.setattr(objective, "ctc_losses", double_losses)
        patch.setattr(AsrBrain, "fit_batch", noted_fit)
        patch.setattr(AsrBrain, "_update", noted_update)
        patch.setattr(AsrBrain, "_fit_valid", end)
        with pytest.raises(EndOfEpoch):
            run.train(config)
    folder = Path(config.exp_dir)
    np.savez(folder / f"gradients-{ranks.rank()}.npz", **arrays)
    (folder / f"seen-{ranks.rank()}.json").write_text(json.dumps(seen), encoding="utf-8")


def gradients(folder: Path, rank: int) -> dict[str, torch.Tensor]:
    with np.load(folder / f"gradients-{rank}.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def seen(folder: Path, rank: int) -> list[list[str]]:
    found: list[list[str]] = json.loads((folder / f"seen-{rank}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("count", [2, 3])
def test_gradients_of_ranks_on_an4_equal_those_of_one_process(count: int, an4: Path, tmp_path: Path) -> None:
    one, several = (compose([*SETTINGS, f"corpus.dir={an4}", f"exp_dir={tmp_path / name}"]) for name in ("1", "2"))
    recorded(one)
    several_ranks.run(count, lambda: recorded(several))
    expected, whole = gradients(tmp_path / "1", 0), seen(tmp_path / "1", 0)
    for rank in range(count):
        found = gradients(tmp_path / "2", rank)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert_close(found[name], gradient, name)
    assert min(map(len, whole)) < count  # a batch in which a rank has nothing of its own
    assert set(Counter(utt_id for batch in whole for utt_id in batch).values()) == {1}
    parts = [seen(tmp_path / "2", rank) for rank in range(count)]
    for batch, *own in zip(whole, *parts, strict=True):  # as many steps in each rank
        assert sorted(batch) == sorted(utt_id for part in own for utt_id in part)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("tones"), num_train=7)


def tiny(tones: Path, folder: Path, *more: str) -> Config:
    return compose([*OVERRIDES, "train.epochs=2", f"corpus.dir={tones}", f"exp_dir={folder}", *more])


def test_train_by_two_ranks_learns_and_leaves_what_one_process_does(tones: Path, tmp_path: Path) -> None:
    more = ("cell=sligru", "cell.dropout=0", "train.average_best=2")
    run.train(tiny(tones, tmp_path / "1", *more), "typed")
    several_ranks.run(2, lambda: run.train(tiny(tones, tmp_path / "2", *more), "typed"))
    for one, two in zip(metrics_of(tmp_path / "1"), metrics_of(tmp_path / "2"), strict=True):
        assert two == {key: pytest.approx(value, rel=1e-3) for key, value in one.items()}
    names = [sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) for folder in tmp_path.iterdir()]
    assert names[0] == names[1]
    for name in ("hyp.jsonl", "wer.json", "bad_utterances.jsonl"):
        assert (tmp_path / "2" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    records = [json.loads((tmp_path / name / "run.json").read_text(encoding="utf-8")) for name in "12"]
    for key in ("dev_wer", "epochs", "temperature", "word_right", "commit", "left_out"):
        assert records[1][key] == records[0][key]
    assert "2 processes of 1 thread" in records[1]["hardware"]


def interrupted(config: Config, step: int) -> None:
    """Let a signal reach the last rank alone during an update; all ranks save and stop."""
    fit = AsrBrain.fit_batch

    def fit_batch(self: AsrBrain, batch: Batch) -> Any:
        if self.state.step == step and ranks.rank() == ranks.count() - 1:
            self.stop.signum = 15
        return fit(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsrBrain, "fit_batch", fit_batch)
        with pytest.raises(Interrupted):
            run.train(config)


def test_train_by_two_ranks_interrupted_is_finished_bitwise(tones: Path, tmp_path: Path) -> None:
    unbroken, broken = tiny(tones, tmp_path / "1", "cell.dropout=0.3"), tiny(tones, tmp_path / "2", "cell.dropout=0.3")
    several_ranks.run(2, lambda: run.train(unbroken))
    several_ranks.run(2, lambda: interrupted(broken, 1))
    several_ranks.run(2, lambda: run.train(broken))
    models = [read_model_folder(tmp_path / name / "model").tensors for name in "12"]
    assert all(torch.equal(models[1][name], tensor) for name, tensor in models[0].items())
    assert metrics_of(tmp_path / "2") == metrics_of(tmp_path / "1")


def test_train_goes_on_with_other_numbers_of_ranks_and_says_so(
    tones: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny(tones, tmp_path, "cell.dropout=0.3", "train.epochs=3")
    interrupted(config, 1)
    several_ranks.run(2, lambda: interrupted(config, 2))
    found = checkpoint.latest(tmp_path / "checkpoints")
    assert found is not None
    assert (found.step, found.state["processes"]) == (3, 2)
    run.train(config)
    assert "saved by 2 processes and continued by 1" in caplog.text
    assert [m["epoch"] for m in metrics_of(tmp_path)] == [1, 2, 3]
    assert all(math.isfinite(m["train_loss"]) for m in metrics_of(tmp_path))


def test_parts_of_a_sorted_batch_have_as_many_frames() -> None:
    lengths = [100, 110, 130, 160, 200, 250, 310, 380]

    def work() -> None:
        parts = ranks.gathered(distributed.own_part([list(range(8)), [5]]))
        assert sorted(index for part in parts for index in part[0]) == list(range(8))
        frames = [sum(lengths[index] for index in part[0]) for part in parts]
        assert max(frames) < 1.06 * min(frames)  # every second one: 1.22
        assert [part[1] for part in parts] == [[5], [5]]

    several_ranks.run(2, work)


def test_agree_names_the_rank_that_differs() -> None:
    def work() -> None:
        distributed.agree(step=3, command=["a", 1])
        with pytest.raises(ConfigError, match="the step of rank 1 is not that of rank 0"):
            distributed.agree(step=ranks.rank())

    several_ranks.run(2, work)
    distributed.agree(step=3)
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="expected 3, got 4"):
        several_ranks.run(2, lambda: refuse(ranks.rank()))


def refuse(rank: int) -> None:
    if rank:
        raise DataError("expected 3, got 4")
