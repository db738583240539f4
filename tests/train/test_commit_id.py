"""The commit a result was made with, read from a checkout in any of git's states."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import asr_ligru
from asr_ligru.train.commit_id import source_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
VERSION = f"v{asr_ligru.__version__}"


def checkout(folder: Path, head: str, **files: str) -> Path:
    """Write a ``.git`` folder; names of ``files`` have "__" for "/"."""
    for name, content in {"HEAD": head, **files}.items():
        path = folder / ".git" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n", encoding="utf-8")
    return folder


def test_commit_of_a_loose_branch(tmp_path: Path) -> None:
    assert source_commit(checkout(tmp_path, "ref: refs/heads/main", refs__heads__main=COMMIT)) == COMMIT[:12]


def test_commit_of_a_packed_branch_is_not_that_of_one_with_a_similar_name(tmp_path: Path) -> None:
    lines = ["# pack-refs with: peeled fully-peeled sorted", f"{OTHER} refs/heads/m.in", f"{OTHER} refs/heads/main-2",
             f"{OTHER} refs/remotes/refs/heads/main", f"{COMMIT} refs/heads/main", f"^{OTHER}"]  # fmt: skip
    made = checkout(tmp_path, "ref: refs/heads/main", **{"packed-refs": "\n".join(lines)})
    assert source_commit(made) == COMMIT[:12]


def test_commit_of_a_branch_both_loose_and_packed_is_the_loose_one(tmp_path: Path) -> None:
    packed = {"packed-refs": f"{OTHER} refs/heads/a/b", "refs__heads__a__b": COMMIT}
    assert source_commit(checkout(tmp_path, "ref: refs/heads/a/b", **packed)) == COMMIT[:12]


def test_commit_of_a_detached_head(tmp_path: Path) -> None:
    assert source_commit(checkout(tmp_path, COMMIT)) == COMMIT[:12]


@pytest.mark.parametrize("head", ["ref: refs/heads/unborn", "", "not a commit", COMMIT[:39], COMMIT.upper() + "0"])
def test_commit_of_anything_else_is_the_version(head: str, tmp_path: Path) -> None:
    assert source_commit(checkout(tmp_path, head)) == VERSION


def test_commit_without_a_checkout_is_the_version(tmp_path: Path) -> None:
    assert source_commit(tmp_path) == VERSION


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("state", ["loose", "packed", "detached"])
def test_commit_equals_gits_own(state: str, tmp_path: Path) -> None:
    def git(*args: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *args], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    if state == "packed":
        git("pack-refs", "--all")
    elif state == "detached":
        git("checkout", "-q", "--detach")
    assert source_commit(tmp_path) == git("rev-parse", "HEAD")[:12]
