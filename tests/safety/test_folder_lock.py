"""A folder that another process holds is waited for or refused, and never stays held by one that died."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from asr_ligru.safety.folder_lock import locked

HOLDER = """
import sys
from pathlib import Path
from asr_ligru.safety.folder_lock import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["returns", "is killed"])
def test_locked_folder_of_another_process_is_waited_for_until_it_ends(end: str, tmp_path: Path) -> None:
    holders: list[str] = []
    entered = threading.Event()

    def enter() -> None:
        with locked(tmp_path / "folder", holders.append):
            entered.set()

    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "folder")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        waiting = threading.Thread(target=enter)
        waiting.start()
        while not holders:
            assert waiting.is_alive()
        assert not entered.wait(0.2)
        if end == "is killed":
            process.kill()
        else:
            process.communicate("", timeout=60)
        waiting.join(60)
    assert entered.is_set()
    assert holders[0].startswith(f"process {process.pid} on ")


def test_locked_folder_that_is_refused_stays_with_its_holder(tmp_path: Path) -> None:
    def refuse(holder: str) -> None:
        raise ValueError(holder)

    with locked(tmp_path, refuse):
        for _ in range(2):
            with pytest.raises(ValueError, match=r"^process"), locked(tmp_path, refuse):
                pytest.fail("entered a folder in use")
    with locked(tmp_path, refuse):
        pass
