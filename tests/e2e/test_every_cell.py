"""Every choice of cell, from its name on the command line to a trained and scored model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_ligru.compose import choices, compose
from asr_ligru.train.run import train
from tests.tiny_corpus import OVERRIDES, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=8)


@pytest.mark.parametrize("cell", choices("cell"))
def test_cell_by_name_trains_with_falling_loss_and_is_scored(cell: str, corpus: Path, tmp_path: Path) -> None:
    faster = ["model.stack_frames=4", "train.lr=0.03", "train.epochs=5"]
    paths = [f"corpus.dir={corpus}", f"exp_dir={tmp_path}"]
    run_dir = train(compose([*OVERRIDES, "debug=smoke", f"cell={cell}", *faster, *paths]))
    assert json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["status"] == "done"
    assert json.loads((run_dir / "wer.json").read_text(encoding="utf-8"))["words"]
    metrics = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["train_loss"] for line in metrics]  # the first is the mean over the first updates
    assert losses[-1] < 0.8 * losses[0]
