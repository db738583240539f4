"""A run folder has one user at a time, and none is left behind by a process that died."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asr_ligru.errors import ConfigError, EnvironmentError_
from asr_ligru.train.lock import run_lock

HOLDER = """
import sys
from pathlib import Path
from asr_ligru.train.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TRIER = """
import sys
from pathlib import Path
from asr_ligru.errors import ConfigError
from asr_ligru.train.lock import run_lock
try:
    with run_lock(Path(sys.argv[1])):
        print("held")
except ConfigError as error:
    print(error.what)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds ``folder`` until its stdin ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("end", ["returns", "is killed"])
def test_lock_of_another_process_is_refused_until_it_ends(end: str, tmp_path: Path) -> None:
    with holder(tmp_path / "run") as process:
        named = rf"in use by process {process.pid} on \S+ since 20"
        with pytest.raises(ConfigError, match=named) as caught, run_lock(tmp_path / "run"):
            pytest.fail("entered a folder in use")
        assert caught.value.where == str(tmp_path / "run")
        assert "exp_dir" in caught.value.fix
        if end == "is killed":
            process.kill()
        else:
            process.communicate("", timeout=60)
        assert process.wait(60) == (-9 if end == "is killed" else 0)
        with run_lock(tmp_path / "run"):
            assert f"process {os.getpid()} " in (tmp_path / "run" / ".lock").read_text(encoding="utf-8")


def test_lock_held_here_is_refused_to_another_process(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        tried = subprocess.run(
            [sys.executable, "-c", TRIER, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
        )
    assert re.match(rf"the run folder is in use by process {os.getpid()} on", tried.stdout)


def test_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), run_lock(tmp_path):
        raise ValueError("inside")
    with run_lock(tmp_path):
        (line,) = (tmp_path / ".lock").read_text(encoding="utf-8").splitlines()
    assert str(os.getpid()) in line


def test_locks_of_two_folders_do_not_meet(tmp_path: Path) -> None:
    with run_lock(tmp_path / "a"), run_lock(tmp_path / "b"):
        assert (tmp_path / "a" / ".lock").is_file()


def test_lock_below_a_file_is_an_environment_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentError_, match="cannot write"), run_lock(tmp_path / "file" / "run"):
        pytest.fail("entered a folder that cannot be")
