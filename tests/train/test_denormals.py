"""Numbers too small for full precision are zero while a model is trained, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru.compose import compose
from asr_ligru.ops.denormals import flushed
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.run import train
from tests.tiny_corpus import OVERRIDES, write_corpus

TINY = 1e-39  # below the smallest float32 of full precision, 1.2e-38

_TWO_THREADS = f"""
import torch
from asr_ligru.ops.denormals import flushed
torch.set_num_threads(2)
with flushed():
    print(int((torch.full((1_000_000,), {TINY}) * 1).count_nonzero()))
"""


def tiny_stays() -> bool:
    return bool((torch.tensor([TINY]) * 1).count_nonzero())


def test_tiny_numbers_are_zero_in_the_block_also_when_it_fails() -> None:
    assert tiny_stays()
    with flushed():
        assert not tiny_stays()
    assert tiny_stays()
    with pytest.raises(RuntimeError, match="lost"), flushed():
        raise RuntimeError("lost")
    assert tiny_stays()


def test_a_mode_that_was_set_before_stays_after_the_block() -> None:
    with flushed():
        with flushed():
            assert not tiny_stays()
        assert not tiny_stays()
    assert tiny_stays()


def test_tiny_numbers_are_zero_on_all_threads() -> None:
    done = subprocess.run([sys.executable, "-c", _TWO_THREADS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_training_takes_them_for_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    plain = AsrBrain.fit_batch

    def fit_batch(self: AsrBrain, batch: Any) -> Any:
        seen.append(tiny_stays())
        return plain(self, batch)

    monkeypatch.setattr(AsrBrain, "fit_batch", fit_batch)
    corpus = write_corpus(tmp_path / "corpus")
    train(compose([*OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={tmp_path / 'exp'}", "train.max_steps=2"]))
    assert seen == [False, False]
    assert tiny_stays()
