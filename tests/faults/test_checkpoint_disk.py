"""The disk fills up, or cannot be written, while a checkpoint is saved: the old one stays, nothing else is left."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru.errors import EnvironmentError_
from asr_ligru.train import checkpoint

TENSORS = {"model": {"w": torch.arange(1000.0)}, "optimizer": {"w/exp_avg": torch.ones(1000)}}


def failing(call: Callable[..., Any], at: int, code: int = errno.ENOSPC) -> Callable[..., Any]:
    """Return ``call`` that raises an OSError the ``at``-th time."""
    count = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == at:
            raise OSError(code, os.strerror(code))
        return call(*args, **kwargs)

    return counted


class FullDisk:
    """A file on a disk that takes so many more bytes."""

    def __init__(self, stream: Any, room: list[int]) -> None:
        self._stream = stream
        self._room = room

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, raw: bytes) -> int:
        self._room[0] -= len(raw)
        if self._room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._stream.write(raw))


def check_only_old_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["step-000001"]
    found = checkpoint.latest(folder, on_bad=pytest.fail)
    assert found is not None
    assert torch.equal(found.tensors["model"]["w"], TENSORS["model"]["w"])


RENAMES = [("rename", 1, 2), ("rename", 1, 1), ("rename", 2, 1)]  # replacing step 1 moves the old one aside first


@pytest.mark.parametrize(
    ("call", "at", "step"), [*(("fsync", at, step) for at in range(1, 6) for step in (1, 2)), *RENAMES]
)
def test_commit_failing_call_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int, step: int
) -> None:
    checkpoint.commit(tmp_path, 1, TENSORS, {"a": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(getattr(os, call), at))
        with pytest.raises(EnvironmentError_, match="disk full: needs") as caught:
            checkpoint.commit(tmp_path, step, TENSORS, {"a": 2})
    assert caught.value.exit_code == 4
    check_only_old_left(tmp_path)


@pytest.mark.parametrize("room", range(0, 9000, 450))
def test_commit_disk_filling_up_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    checkpoint.commit(tmp_path, 1, TENSORS, {})
    left, opened = [room], Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *args, **kwargs: FullDisk(opened(*args, **kwargs), left))
        with pytest.raises(EnvironmentError_, match=r"disk full: needs 0\.1 MB, has [\d.]+ MB") as caught:
            checkpoint.commit(tmp_path, 2, TENSORS, {})
    assert caught.value.where == str(tmp_path)
    check_only_old_left(tmp_path)


def test_commit_too_little_room_writes_nothing_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.commit(tmp_path, 1, TENSORS, {})
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3000))
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("wrote before looking at the room"))
    with pytest.raises(EnvironmentError_, match=r"disk full: needs 0\.1 MB, has 0\.0 MB"):
        checkpoint.commit(tmp_path, 2, TENSORS, {})
    check_only_old_left(tmp_path)


def test_commit_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.commit(tmp_path, 1, TENSORS, {})
    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", failing(os.mkdir, 1, errno.EROFS))
        with pytest.raises(EnvironmentError_, match="Read-only file system") as caught:
            checkpoint.commit(tmp_path, 2, TENSORS, {})
    assert caught.value.where == str(tmp_path)
    check_only_old_left(tmp_path)


def test_commit_interrupted_by_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.commit(tmp_path, 1, TENSORS, {})

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.commit(tmp_path, 2, TENSORS, {})
    check_only_old_left(tmp_path)


def test_commit_flushes_every_file_and_three_times_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("checkpoints").mkdir()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    path = checkpoint.commit(tmp_path / "checkpoints", 1, TENSORS, {})
    files = {file.stat().st_ino for file in path.iterdir()}
    assert len(synced) == len(TENSORS) + 1 + 3  # state.json; checkpoint.json, its folder, the folder above
    assert set(synced) == files | {path.stat().st_ino, path.parent.stat().st_ino}
    assert synced[-1] == path.parent.stat().st_ino
