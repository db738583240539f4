"""TensorBoard gets the numbers that metrics.jsonl has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asr_ligru.errors import EnvironmentError_
from asr_ligru.train.curves import Curves


def test_curves_without_the_extra_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(EnvironmentError_, match=r"(?s)tensorboard.*asr-ligru\[viz\]"):
        Curves(tmp_path)


def test_curves_write_what_tensorboard_reads_back(tmp_path: Path) -> None:
    loading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="the extra viz is not installed"
    )
    curves = Curves(tmp_path)
    curves.add({"epoch": 1, "dev_wer": 0.5, "growth": [1.0]})
    curves.add({"epoch": 2, "dev_wer": 0.25})
    events = loading.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("dev_wer")] == [(1, 0.5), (2, 0.25)]
