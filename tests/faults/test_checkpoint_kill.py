"""A writer of checkpoints is killed; the next start resumes from the last acknowledged save."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from asr_ligru.train import checkpoint

TOOL = Path(__file__).resolve().parents[2] / "tools" / "kill_loop.py"


def run_tool(*args: str) -> str:
    """Run the tool and return what it printed; it ends with 0 only when no start found anything wrong."""
    memory = Path(os.sep, "dev", "shm")
    place = ["--dir", str(memory)] if os.access(memory, os.W_OK) else []
    done = subprocess.run(
        [sys.executable, str(TOOL), *args, *place], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_loop", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_commit_killed_at_random_moments_always_resumes() -> None:
    assert "ok: 10" in run_tool("--n", "10")


def test_commit_killed_before_every_disk_call_always_resumes() -> None:
    counts = dict(part.split(": ") for part in run_tool("--every-call").strip().split(", "))
    assert int(counts["ok"]) > 40
    assert counts["survivor failed"] == "0"


@pytest.mark.slow
def test_commit_killed_200_times_always_resumes() -> None:
    assert "ok: 200" in run_tool("--n", "200")


def test_kill_loop_sees_torn_old_and_leftover_checkpoints(tmp_path: Path) -> None:
    tool = load_tool()
    for step in (1, 2):
        checkpoint.commit(tmp_path, step, tool.tensors_of(step, 10), {})
    assert tool.next_start(tmp_path, 2, 10) == "ok"
    assert tool.next_start(tmp_path, 3, 10) == "older than acknowledged"
    (tmp_path / "half").mkdir()
    assert tool.next_start(tmp_path, 2, 10) == "left over"
    (tmp_path / "half").rmdir()
    (tmp_path / "step-000002" / "model.safetensors").write_bytes(b"torn")
    assert tool.next_start(tmp_path, 1, 10) == "torn"
    checkpoint.commit(tmp_path, 2, tool.tensors_of(1, 10), {})
    assert tool.next_start(tmp_path, 2, 10) == "wrong content"
