"""Checkpoints: what goes in comes out, the newest usable one is found, the last one is never deleted."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import torch

from asr_ligru.errors import DataError
from asr_ligru.train import checkpoint

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "checkpoints"


def commit(folder: Path, *steps: int) -> None:
    for step in steps:
        checkpoint.commit(folder, step, {"model": {"w": torch.full((3,), float(step))}}, {"epoch": step})


def test_load_committed_tensors_and_state_come_back(tmp_path: Path) -> None:
    weight = torch.randn(4, 6)
    tensors = {
        "model": {"w": weight, "tied": weight, "view": weight[1:, ::2], "mask": torch.tensor([True, False])},
        "optimizer": {"w/step": torch.tensor(3.0), "w/exp_avg": torch.randn(4, 6, dtype=torch.float64)},
        "half": {"b": torch.randn(3).bfloat16(), "n": torch.tensor(5), "empty": torch.zeros(0, 3)},
        "nothing": {},
    }
    state = {"epoch": 2, "best": float("inf"), "text": "é\u2028", "list": [1, None, {"a": True}]}
    path = checkpoint.commit(tmp_path / "new" / "checkpoints", 500, tensors, state)
    assert path == tmp_path / "new" / "checkpoints" / "step-000500"
    found = checkpoint.load(path)
    assert (found.path, found.step, found.state) == (path, 500, state)
    assert found.tensors.keys() == tensors.keys()
    for part, named in tensors.items():
        assert found.tensors[part].keys() == named.keys()
        for name, tensor in named.items():
            assert found.tensors[part][name].dtype == tensor.dtype
            assert torch.equal(found.tensors[part][name], tensor)


def test_commit_same_step_again_replaces_it(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2)
    checkpoint.commit(tmp_path, 2, {}, {"epoch": "new"})
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.state == {"epoch": "new"}
    assert sorted(os.listdir(tmp_path)) == ["step-000001", "step-000002"]


def test_commit_modes_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        commit(tmp_path, 1)
    finally:
        os.umask(before)
    path = tmp_path / "step-000001"
    assert path.stat().st_mode & 0o777 == 0o750
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o640}


def test_latest_newest_step_is_by_number(tmp_path: Path) -> None:
    commit(tmp_path, 2, 10, 9, 1_000_000)
    (tmp_path / "step-9999999x").mkdir()
    (tmp_path / "step-000011").write_text("a file")
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 1_000_000
    assert checkpoint.steps(tmp_path) == [2, 9, 10, 1_000_000]


def test_latest_without_any_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) is None
    assert checkpoint.latest(tmp_path / "absent") is None


def test_latest_bad_newest_is_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    commit(tmp_path, 1, 2, 3)
    (tmp_path / "step-000003" / "state.json").unlink()
    (tmp_path / "step-000002" / "model.safetensors").write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 1
    assert "step-000003/state.json" in caplog.messages[0]
    assert "step-000002/model.safetensors" in caplog.messages[1]


def test_latest_all_bad_is_an_error_not_a_new_start(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2)
    skipped: list[DataError] = []
    for step in (1, 2):
        (tmp_path / f"step-00000{step}" / "checkpoint.json").unlink()
    with pytest.raises(DataError, match="all 2 checkpoints are damaged"):
        checkpoint.latest(tmp_path, skipped.append)
    assert len(skipped) == 2


def test_latest_newer_format_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", 3)
        commit(tmp_path, 2)
    with pytest.raises(DataError, match="format 3, this version reads up to 1") as caught:
        checkpoint.latest(tmp_path)
    assert caught.value.exit_code == 3
    assert "newer version" in caught.value.fix


def test_load_renamed_checkpoint_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, 1)
    (tmp_path / "step-000001").rename(tmp_path / "step-000007")
    with pytest.raises(DataError, match="step and name differ"):
        checkpoint.load(tmp_path / "step-000007")


def test_load_unlisted_file_is_refused_but_notes_are_welcome(tmp_path: Path) -> None:
    commit(tmp_path, 1)
    (tmp_path / "step-000001" / "README.md").write_text("mine")
    assert checkpoint.load(tmp_path / "step-000001").step == 1
    (tmp_path / "step-000001" / "extra.safetensors").write_text("foreign")
    with pytest.raises(DataError, match=r"extra\.safetensors: not listed"):
        checkpoint.load(tmp_path / "step-000001")


def test_retain_keeps_those_named_and_never_deletes_all(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2, 3, 4)
    checkpoint.retain(tmp_path, {2, 4, 99})
    assert sorted(os.listdir(tmp_path)) == ["step-000002", "step-000004"]
    with pytest.raises(ValueError, match="every checkpoint"):
        checkpoint.retain(tmp_path, {5})
    assert checkpoint.steps(tmp_path) == [2, 4]


def test_sweep_removes_leftovers_and_nothing_else(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2, 3)
    (tmp_path / "step-000002").rename(tmp_path / ".old-step-000002")  # killed between two renames
    (tmp_path / ".old-step-000003").mkdir()  # killed after them
    (tmp_path / ".tmp-folder").mkdir()
    (tmp_path / ".tmp-folder" / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".tmp-file").write_text("half")
    (tmp_path / "kept").mkdir()
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "kept")
    checkpoint.sweep(tmp_path)
    checkpoint.sweep(tmp_path / "absent")
    assert sorted(os.listdir(tmp_path)) == ["kept", "step-000001", "step-000002", "step-000003"]
    assert checkpoint.load(tmp_path / "step-000002").step == 2


def test_commit_giant_state_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="state of more than"):
        checkpoint.commit(tmp_path, 1, {}, {"a": "x" * (17 << 20)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/step-*")), ids=lambda path: path.parent.name)
def test_load_released_format_still_works(path: Path) -> None:
    expected = json.loads((path.parent / "expected.json").read_text())
    found = checkpoint.load(path)
    assert (found.step, found.state) == (expected["step"], expected["state"])
    assert {part: {n: t.tolist() for n, t in named.items()} for part, named in found.tensors.items()} == expected[
        "tensors"
    ]
