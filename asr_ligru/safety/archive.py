"""Unpack a downloaded archive so that nothing is written outside the target.

The standard library parses; this module decides. One member that is not a plain file or folder with a clean relative
name refuses the whole archive, and a refused archive leaves nothing behind.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from asr_ligru.errors import DataError
from asr_ligru.safety.files import TEMP_PREFIX, umask, write_errors
from asr_ligru.safety.text import printable

_BLOCK = 1 << 20
_MAX_PADDING_BLOCKS = 16  # tapes are padded to 10 KB, some to 1 MB
_RATIO_FLOOR_BYTES = 64 << 20  # small archives may compress as well as they like
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    LookupError,
    RuntimeError,  # RecursionError and NotImplementedError too
)  # what the parsers raise on crafted input


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    Attributes:
        members: files and folders.
        bytes: sum of file sizes.
        ratio: unpacked over packed size, for archives that unpack to more than 64 MiB.
    """

    members: int = 500_000
    bytes: int = 100 << 30
    ratio: float = 200.0


_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class _Member:
    """One entry of an archive, before anything is believed."""

    name: str
    size: int
    is_folder: bool
    is_plain: bool  # a regular file or folder without setuid or setgid
    source: IO[bytes] | None  # of a plain file
    is_link: bool = False  # a symbolic one


class _Bounded:
    """A readable, seekable stream that refuses to pass ``limit`` bytes or to return more than 1 MiB at once.

    tarfile reads extended headers in one piece: one that claims 4 GB would take 4 GB of memory.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _BLOCK or self._stream.tell() > self._limit:
            raise ValueError("a header or file larger than allowed")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or not 0 <= offset <= self._limit:
            raise ValueError("an entry outside of the allowed size")
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


class _Bzip2(bz2.BZ2File):
    """Damaged data is a ValueError, not the OSError that a disk raises."""

    def read(self, size: int | None = -1) -> bytes:
        with _damage():
            return super().read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _damage():
            return super().seek(offset, whence)


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(str(error)) from error


@dataclass
class _Ledger:
    """What has been accepted so far: names by their folded spelling, and totals."""

    limits: Limits
    packed_bytes: int
    entries: dict[str, tuple[str, bool]] = field(default_factory=dict)  # folded name -> (as written, is folder)
    members: int = 0
    bytes: int = 0

    def admit(self, member: _Member) -> PurePosixPath:
        """Return the member's clean relative path, or raise ValueError with the reason to refuse the archive."""
        self.members += 1
        self.bytes += member.size
        allowed = max(_RATIO_FLOOR_BYTES, self.limits.ratio * self.packed_bytes)
        if self.members > self.limits.members:
            raise ValueError(f"more than {self.limits.members} members")
        if not member.is_plain or member.size < 0:
            raise ValueError("not a plain file or folder")
        if self.bytes > min(self.limits.bytes, allowed):
            raise ValueError(f"unpacks to more than {min(self.limits.bytes, allowed):.0f} bytes")
        path = _clean(member.name)
        if not path.parts and not member.is_folder:
            raise ValueError("a file without a name")
        for folder in path.parents:
            self._enter(folder, is_folder=True)
        self._enter(path, member.is_folder)
        return path

    def _enter(self, path: PurePosixPath, is_folder: bool) -> None:
        folded = unicodedata.normalize("NFC", str(path)).casefold()
        earlier = self.entries.get(folded)
        if earlier is not None and not (is_folder and earlier == (str(path), True)):
            raise ValueError("the same name twice, or two that differ only in case")
        self.entries[folded] = (str(path), is_folder)


def safe_extract(archive: Path, target: Path, limits: Limits = _DEFAULT_LIMITS, *, skip_links: bool = False) -> None:
    """Unpack a .tar, .tar.gz, .tar.bz2 or .zip file into a new folder.

    Only regular files and folders with clean relative names are accepted: no links, devices, absolute or ``..`` names,
    setuid bits, control characters, duplicates or names that differ only in case. Owners, times and permissions of
    the archive are not taken over. The folder appears under its name when everything is unpacked.

    Args:
        archive: the file; its kind is told by its content.
        target: must not exist or be an empty folder; its parent must exist.
        limits: caps on members, bytes and compression ratio.
        skip_links: pass over symbolic links of a tar file instead of refusing it; none is made.

    Raises:
        DataError: the archive is damaged, refused (naming the member) or of another kind, or the target is not empty.
        EnvironmentError_: the disk is full or the target cannot be written.
    """
    if not archive.is_file():
        raise DataError("no such archive", where=printable(str(archive)))
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise DataError("cannot unpack into a folder that is not empty", where=printable(str(target)))
    with write_errors(target.parent, archive.stat().st_size):
        temp = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=target.parent))
        try:
            _extract(archive, temp, limits, skip_links)
            temp.chmod(0o777 & ~umask())
            temp.replace(target)
        finally:
            shutil.rmtree(temp, ignore_errors=True)


def _extract(archive: Path, folder: Path, limits: Limits, skip_links: bool) -> None:
    ledger = _Ledger(limits, archive.stat().st_size)
    name = ""
    try:
        with contextlib.closing(_members(archive, limits)) as members:
            for member in members:
                name = member.name
                if skip_links and member.is_link:
                    continue
                _write(member, folder / ledger.admit(member))
    except _DAMAGED as error:
        raise DataError(
            f"refused to unpack: {printable(str(error)) or type(error).__name__}",
            where=printable(f"{archive}, member {name[:200]!r}" if name else str(archive)),
            fix="get the archive again from its publisher and compare its checksum",
        ) from error


def _members(archive: Path, limits: Limits) -> Generator[_Member, None, None]:
    with archive.open("rb") as stream:
        magic = stream.read(262)
        stream.seek(0)
        if magic.startswith(b"PK"):
            yield from _zip_members(stream)
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield from _tar_members(_Bounded(unpacked, _stream_limit(limits)))  # type: ignore[arg-type]
        elif magic.startswith(b"BZh"):
            with _Bzip2(stream) as bunzipped:
                yield from _tar_members(_Bounded(bunzipped, _stream_limit(limits)))
        elif magic[257:] == b"ustar":
            yield from _tar_members(_Bounded(stream, _stream_limit(limits)))
        else:
            raise ValueError("not a .tar, .tar.gz, .tar.bz2 or .zip file")


def _stream_limit(limits: Limits) -> int:
    """Return how long a tar stream may be: the files, and 8 KiB of headers and padding for each."""
    return limits.bytes + 8192 * limits.members


def _tar_members(stream: _Bounded) -> Iterator[_Member]:
    with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
        while (info := archive.next()) is not None:
            plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) and not info.issparse()
            plain = plain and not info.mode & (stat.S_ISUID | stat.S_ISGID)
            source = archive.extractfile(info) if plain and info.size >= 0 else None
            yield _Member(info.name, info.size, info.isdir(), plain, source, info.issym())
            archive.members.clear()  # 500,000 headers need not stay in memory
        _refuse_cut(stream, archive.offset)


def _refuse_cut(stream: _Bounded, end: int) -> None:
    """Raise if there is no end mark at ``end`` (tarfile takes a damaged header for it), or more than padding behind.

    Reading on also checks gzip's sum.
    """
    stream.seek(end)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError("cut short or damaged")
    for _ in range(_MAX_PADDING_BLOCKS):
        block = stream.read(_BLOCK)
        if not block:
            return
        if block.strip(b"\0"):
            raise ValueError("something behind its end")
    raise ValueError("endless padding")


def _zip_members(stream: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            plain = kind in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG)
            plain = plain and not mode & (stat.S_ISUID | stat.S_ISGID)
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("an encrypted member or an unusual compression")
            source = archive.open(info) if plain and not info.is_dir() else None
            yield _Member(info.orig_filename, info.file_size, info.is_dir(), plain, source)


def _clean(name: str) -> PurePosixPath:
    """Return ``name`` without ``.`` parts; raise ValueError if it could mean something outside the target."""
    path = PurePosixPath(name)
    if printable(name) != name or "\\" in name:
        raise ValueError("a name with a control character or backslash")
    if path.is_absolute() or name[1:2] == ":" or ".." in path.parts:
        raise ValueError("a name that leaves the target")
    if len(path.parts) > 32 or any(len(part.encode()) > 255 for part in path.parts):
        raise ValueError("a name too long or too deep")
    return path


def _write(member: _Member, path: Path) -> None:
    """Write one member; whatever its header claims, at most its size is written, through no link."""
    if member.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    if member.source is None:
        raise ValueError("a file without content")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    left = member.size
    with os.fdopen(handle, "wb") as out, member.source as source:
        while block := source.read(min(left, _BLOCK)):
            left -= len(block)
            out.write(block)
    if left:
        raise ValueError(f"a file {left} bytes shorter than it says")
