"""A disk that fills up, or may only be read, under a whole run: exit 4, nothing half-written, and it goes on later.

The disk is a real one, in memory, mounted where only the process of the test sees it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_corpus import OVERRIDES, write_corpus

ROOT = Path(__file__).resolve().parents[2]
OWN_MOUNTS = ("unshare", "--map-root-user", "--mount")
SCRIPT = """
import contextlib, io, os, shutil, subprocess, sys
from pathlib import Path
from asr_ligru import cli
from asr_ligru.train import checkpoint
from asr_ligru.train.brain import AsrBrain
from tests.faults.tiny_run import assert_equal_runs

kind, place, corpus, *settings = sys.argv[1:]
disk = Path(place)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)

def train(exp):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            code = cli.main(["train", *settings, f"corpus.dir={corpus}", f"exp_dir={exp}", "train.epochs=3",
                             "train.save_every_s=1e-6", "features.cache=false"])
        except SystemExit as stopped:
            code = stopped.code
    return code, said.getvalue()

def stop_at_step_2(brain, batch, plain=AsrBrain.fit_batch):
    if brain.state.step == 2:
        brain.stop.signum = 15
    return plain(brain, batch)

def check_whole(exp, step):
    found = checkpoint.latest(exp / "checkpoints")
    assert found is not None and found.step >= step, found
    assert not [p for p in exp.rglob("*") if p.name.startswith((".tmp-", ".old-"))]

code, said = train(disk / "unbroken")
assert code == 0, said
begun = disk / "begun"
plain, AsrBrain.fit_batch = AsrBrain.fit_batch, stop_at_step_2
code, said = train(begun)
assert code == 143, said
AsrBrain.fit_batch = plain
step = checkpoint.latest(begun / "checkpoints").step

def fill():
    for kilobytes in range(0, 80, 4):
        exp, ballast = disk / "exp", disk / "ballast"
        shutil.copytree(begun, exp)
        stat = os.statvfs(disk)
        ballast.write_bytes(bytes(stat.f_bavail * stat.f_frsize - 1024 * kilobytes))
        code, said = train(exp)
        assert code == 4 and "disk full: needs" in said and str(exp) in said and "Traceback" not in said, (code, said)
        check_whole(exp, step)
        ballast.unlink()
        code, said = train(exp)
        assert code == 0, said
        assert_equal_runs(exp, disk / "unbroken")
        shutil.rmtree(exp)
        print("full")

def read_only():
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for exp in (begun, disk / "new"):
        code, said = train(exp)
        assert code == 4 and str(disk) in said and "ead-only" in said and "Traceback" not in said, (code, said)
        print("read-only")

{"full": fill, "read-only": read_only}[kind]()
"""


def in_own_mounts(kind: str, folder: Path) -> list[str]:
    """Run the script, and return the lines that it prints."""
    try:
        subprocess.run([*OWN_MOUNTS, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount anything here")
    corpus, disk = write_corpus(folder / "corpus", num_train=12), folder / "disk"
    disk.mkdir()
    command = [*OWN_MOUNTS, sys.executable, "-c", SCRIPT, kind, str(disk), str(corpus), *OVERRIDES]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


@pytest.mark.fuzz
def test_train_on_a_disk_that_fills_up_at_twenty_places_keeps_what_it_has_and_goes_on(tmp_path: Path) -> None:
    assert in_own_mounts("full", tmp_path) == ["full"] * 20


@pytest.mark.fuzz
def test_train_on_a_disk_that_may_only_be_read_names_it(tmp_path: Path) -> None:
    assert in_own_mounts("read-only", tmp_path) == ["read-only"] * 2
