"""Archives from the network: 29 hostile ones change nothing outside of the target, honest ones come out exactly."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.safety import Limits, safe_extract

Entry = tuple[str, bytes | None, dict[str, object]]  # name, content or None for a folder, further header fields


def tar(*entries: Entry, compress: str = "gz", format: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compress}", format=format) as archive:
        for name, content, fields in entries:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


def zipped(*entries: tuple[str, bytes, int], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return out.getvalue()


def link(name: str, to: str, type: bytes = tarfile.SYMTYPE) -> Entry:
    return name, b"", {"type": type, "linkname": to}


def changed(archive: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in archive
    return archive.replace(old, new)


def huge_header() -> bytes:
    """Return a tar whose long-name header claims 4 GB, with as many zeros as it takes to be believed a while."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16)


def negative_size() -> bytes:
    """Return a tar whose pax header gives the next member a negative size, so that a reader goes round in circles."""
    return tar(("a", b"x", {"pax_headers": {"size": "-1024"}}), format=tarfile.PAX_FORMAT)


def sparse() -> bytes:
    info = tarfile.TarInfo("big")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")  # real size: 1 TB
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


ZEROS = bytes(80 << 20)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "parent": lambda: tar(("ok", b"x", {}), ("../evil", b"x", {})),
    "parent inside": lambda: tar(("a/../../evil", b"x", {})),
    "absolute": lambda: tar(("/" + "tmp/evil", b"x", {})),
    "symlink": lambda: tar(link("a", "/etc/passwd")),
    "symlink then through it": lambda: tar(link("a", ".."), ("a/evil", b"x", {})),
    "hardlink": lambda: tar(("a", b"x", {}), link("b", "../victim", tarfile.LNKTYPE)),
    "character device": lambda: tar(("a", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5})),
    "block device": lambda: tar(("a", b"", {"type": tarfile.BLKTYPE})),
    "fifo": lambda: tar(("a", b"", {"type": tarfile.FIFOTYPE})),
    "long path": lambda: tar(link("d" * 200 + "/" * 40 + "x", "../" * 40), ("d" * 200 + "/x/evil", b"x", {})),
    "duplicate": lambda: tar(("a", b"x", {}), ("a", b"y", {})),
    "case clash": lambda: tar(("Data/a", b"x", {}), ("data/b", b"y", {})),
    "file then folder": lambda: tar(("a", b"x", {}), ("a/b", b"y", {})),
    "setuid": lambda: tar(("a", b"x", {"mode": 0o4755})),
    "bomb": lambda: tar(("a", ZEROS, {})),
    "sparse 1 TB": sparse,
    "giant header": huge_header,
    "negative size": negative_size,
    "truncated": lambda: tar(("a", bytes(range(256)) * 400, {}))[:-40],
    "damaged header": lambda: changed(tar(("a", b"x", {}), ("bbbb", b"y", {}), compress=""), b"bbbb", b"bbbc"),
    "zip parent": lambda: zipped(("../evil", b"x", 0o100644)),
    "zip symlink": lambda: zipped(("a", b"/etc/passwd", stat.S_IFLNK | 0o777)),
    "zip backslash": lambda: zipped(("..\\evil", b"x", 0o100644)),
    "zip bomb": lambda: zipped(("a", ZEROS, 0o100644)),
    "no name": lambda: tar(("", b"x", {})),
    "named dot": lambda: tar((".", b"x", {})),
    "zeros behind the end": lambda: gzip.compress(tar(("a", b"x", {}), compress="") + bytes(20 << 20), compresslevel=1),
    "another behind the end": lambda: tar(("a", b"x", {})) + tar(("../evil", b"x", {})),
    "not an archive": lambda: b"#!/bin/sh\n" * 100,
}


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): (p.lstat().st_mode, p.read_bytes() if p.is_file() else b"") for p in found}


@pytest.mark.parametrize("name", HOSTILE)
def test_safe_extract_hostile_archive_changes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "victim").write_text("untouched")
    archive = tmp_path / "archive"
    archive.write_bytes(HOSTILE[name]())
    before = tree(tmp_path)
    with pytest.raises(DataError, match="refused to unpack") as caught:
        safe_extract(archive, tmp_path / "out")
    assert tree(tmp_path) == before
    assert str(archive) in caught.value.where


@pytest.mark.parametrize("compress", ["", "gz", "bz2"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_safe_extract_honest_tar_comes_out_exactly(tmp_path: Path, compress: str, format: int) -> None:
    content = {"a/b.txt": b"x" * 511, "a/empty": b"", "./c": os.urandom(3 << 20), "long" * 24 + "/é": b"y"}
    archive = tmp_path / "x.tar"
    archive.write_bytes(
        tar(("a", None, {}), *((n, c, {"mode": 0o100}) for n, c in content.items()), compress=compress, format=format)
    )
    safe_extract(archive, tmp_path / "out")
    files = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert files == {name.removeprefix("./"): data for name, data in content.items()}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "x.tar"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_safe_extract_honest_zip_comes_out_exactly(tmp_path: Path, method: int) -> None:
    (tmp_path / "x.zip").write_bytes(
        zipped(("d/", b"", 0o40755), ("d/a", b"x" * 5000, 0o100600), ("b", b"", 0), method=method)
    )
    safe_extract(tmp_path / "x.zip", tmp_path / "out")
    assert (tmp_path / "out/d/a").read_bytes() == b"x" * 5000
    assert (tmp_path / "out/b").read_bytes() == b""


def test_safe_extract_caps_are_enforced(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(tar(*((f"f{i}", b"abc", {}) for i in range(5))))
    for limits, reason in ((Limits(members=4), "more than 4 members"), (Limits(bytes=14), "more than 14 bytes")):
        with pytest.raises(DataError, match=reason):
            safe_extract(tmp_path / "x", tmp_path / "out", limits)
    safe_extract(tmp_path / "x", tmp_path / "out", Limits(members=5, bytes=15))


def test_safe_extract_target_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(tar(("a", b"x", {})))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for target in ("full", "link"):
        with pytest.raises(DataError, match="not empty"):
            safe_extract(tmp_path / "x", tmp_path / target)
    (tmp_path / "empty").mkdir()
    safe_extract(tmp_path / "x", tmp_path / "empty")
    assert (tmp_path / "empty" / "a").read_bytes() == b"x"


def test_safe_extract_missing_archive_or_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such archive"):
        safe_extract(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "x").write_bytes(tar(("a", b"x", {})))
    with pytest.raises(EnvironmentError_, match="cannot write"):
        safe_extract(tmp_path / "x", tmp_path / "absent" / "out")


def test_safe_extract_skips_links_only_where_told(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar(("a", b"x", {}), link("b", "../../outside"), ("b", b"y", {})))
    with pytest.raises(DataError, match="not a plain file"):
        safe_extract(tmp_path / "a.tar", tmp_path / "strict")
    safe_extract(tmp_path / "a.tar", tmp_path / "out", skip_links=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"a": b"x", "b": b"y"}
    assert not (tmp_path / "out" / "b").is_symlink()


def test_safe_extract_damaged_bzip2_is_the_archives_fault(tmp_path: Path) -> None:
    whole = tar(("a", os.urandom(20000), {}), compress="bz2")
    (tmp_path / "a.tar.bz2").write_bytes(whole[:9000] + bytes(64) + whole[9064:])
    with pytest.raises(DataError, match="refused to unpack"):
        safe_extract(tmp_path / "a.tar.bz2", tmp_path / "out")
    assert not (tmp_path / "out").exists()
