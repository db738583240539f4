"""Files are replaced entirely or not at all; JSON is read within limits."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.safety import atomic_write, read_json, sha256_file


def disk_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_atomic_write_text_and_bytes_are_written_exactly(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", "é\r\n\u2028")
    atomic_write(tmp_path / "b", b"\0\xff")
    assert (tmp_path / "a").read_bytes() == "é\r\n\u2028".encode()
    assert (tmp_path / "b").read_bytes() == b"\0\xff"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_atomic_write_mode_follows_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        atomic_write(tmp_path / "a", "x")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_atomic_write_disk_full_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    atomic_write(tmp_path / "a", "old")
    monkeypatch.setattr(os, broken, disk_full)
    with pytest.raises(EnvironmentError_, match=r"disk full: needs 2\.0 MB, has .* MB") as caught:
        atomic_write(tmp_path / "a", b"x" * 2_000_000)
    assert caught.value.where == str(tmp_path)
    assert caught.value.exit_code == 4
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_atomic_write_symlink_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("untouched")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    atomic_write(tmp_path / "link", "new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "secret").read_text() == "untouched"


def test_atomic_write_fifo_or_folder_in_the_way_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "folder"):
        with pytest.raises(EnvironmentError_, match="not a regular file"):
            atomic_write(tmp_path / name, "x")
    assert (tmp_path / "fifo").is_fifo()


def test_atomic_write_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_, match="cannot write") as caught:
        atomic_write(tmp_path / "absent" / "a", "x")
    assert "absent" in caught.value.where


def test_sha256_file_equals_hashlib_over_several_blocks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_read_json_what_was_written_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"a": [1, 2.5, null, "é"]}', encoding="utf-8")
    assert read_json(tmp_path / "a") == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'{"a": 1} x', b"[" * 21 + b"]" * 21, b"[" * 100_000, b'{"a":' * 30 + b"1" + b"}" * 30],
)
def test_read_json_broken_or_deep_content_is_a_data_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match="cannot read JSON") as caught:
        read_json(tmp_path / "a")
    assert caught.value.where == str(tmp_path / "a")


def test_read_json_too_long_absent_or_fifo_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "long").write_text('"' + "x" * 2000 + '"')
    os.mkfifo(tmp_path / "fifo")
    for name, reason in (("long", "longer than 1000"), ("absent", "No such file"), ("fifo", "not a regular file")):
        with pytest.raises(DataError, match=reason):
            read_json(tmp_path / name, max_bytes=1000)


def test_read_json_twenty_levels_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"[" * 20 + b"]" * 20)
    assert read_json(tmp_path / "a")
