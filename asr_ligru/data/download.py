"""Download a corpus: https only, resumed where it stopped, checked against what its publisher states."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal
from urllib.parse import urlsplit

from tqdm import tqdm

from asr_ligru.errors import ConfigError, DataError, EnvironmentError_
from asr_ligru.registry import nearest
from asr_ligru.safety import atomic_write, safe_extract
from asr_ligru.safety.files import write_errors

Open = Callable[[urllib.request.Request], Any]  # returns an http response; tests bring their own
_BLOCK_BYTES = 1 << 18
_TIMEOUT_S = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Archive:
    """A file to download and unpack.

    Attributes:
        url: begins with ``https://``.
        algorithm: of ``digest``.
        digest: what the publisher, torchaudio or lhotse states; empty where nobody does.
        stated_by: who states it.
        megabytes: about how large it is, as its publisher says.
        part: a name by which it is asked for alone.
        on_request: fetched only when asked for by its part.
        skip_links: symbolic links in it are passed over instead of refusing it; none is ever made.
    """

    url: str
    algorithm: Literal["sha256", "md5"] = "sha256"
    digest: str = ""
    stated_by: str = ""
    megabytes: int = 0
    part: str = ""
    on_request: bool = False
    skip_links: bool = False

    @property
    def name(self) -> str:
        """The file name, safe to use on any disk."""
        name = PurePosixPath(urlsplit(self.url).path).name
        if urlsplit(self.url).scheme != "https" or not _NAME.fullmatch(name):
            raise ValueError(f"not an https address of a plainly named file: {self.url}")
        return name

    @property
    def packed(self) -> bool:
        """Whether it is to be unpacked; a text file is not."""
        return not self.name.endswith(".txt")


@dataclass(frozen=True)
class Download:
    """A downloaded archive.

    Attributes:
        url: where it came from.
        sha256: of its bytes.
        check: in words, what that was compared with.
    """

    url: str
    sha256: str
    check: str


def download_corpus(
    archives: Sequence[Archive],
    folder: Path,
    opener: Open | None = None,
    *,
    parts: Sequence[str] = (),
    say: Callable[[str], object] = lambda line: None,
) -> list[Download]:
    """Download and unpack archives below ``folder``; what is there already is not fetched again.

    Args:
        archives: all that a corpus consists of.
        folder: made if need be; gets the archives and ``unpacked-0``, ``unpacked-1``, ..., and files as they are.
        opener: what opens a request, for tests; by default https and nothing else, also after redirections.
        parts: which archives to fetch; by default all but those that are fetched on request only.
        say: told what will be fetched and how large it is, before anything is.

    Raises:
        ConfigError: there is no such part.
        EnvironmentError_: no connection, an error of the server, the connection broke, or the disk is full. What
            came is kept; the same command goes on from there.
        DataError: the file is not what its publisher states, or not an archive that can be unpacked safely.
    """
    with write_errors(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = _choose(archives, parts)
    _announce([a for a in chosen.values() if not (folder / a.name).is_file()], folder, say)
    downloads = []
    for index, archive in chosen.items():
        path = folder / archive.name
        if not path.is_file():
            _fetch(archive, path, opener or https_opener())
        downloads.append(_verified(archive, path))
        target = folder / f"unpacked-{index}"
        if archive.packed and not target.is_dir():
            safe_extract(path, target, skip_links=archive.skip_links)
    return downloads


def _choose(archives: Sequence[Archive], parts: Sequence[str]) -> dict[int, Archive]:
    """Return the archives to fetch by their places, which name the folders they are unpacked to."""
    known = [archive.part for archive in archives if archive.part]
    for part in parts:
        if part not in known:
            fix = nearest(part, known) if known else "leave out --part: this corpus is fetched whole"
            raise ConfigError(f"unknown part {part!r}", fix=fix)
    return {i: a for i, a in enumerate(archives) if (a.part in parts if parts else not a.on_request)}


def _announce(archives: Sequence[Archive], folder: Path, say: Callable[[str], object]) -> None:
    """Say how large what comes is, and refuse to begin where the disk has no room for it."""
    for archive in archives:
        say(f"{f'{archive.megabytes:,} MB' if archive.megabytes else 'size unknown':>12}  {archive.url}")
    total, unpacked = (sum(a.megabytes for a in archives if a.packed or kept) for kept in (True, False))
    free = shutil.disk_usage(folder).free // 1_000_000
    if archives:
        say(f"{total:>9,} MB  in all, into {folder}, and {unpacked:,} MB or more when unpacked; {free:,} MB are free")
    if total + unpacked > free:
        raise EnvironmentError_(
            f"disk full: needs {total:,} MB and {unpacked:,} MB or more to unpack it, has {free:,} MB",
            where=str(folder),
            fix="name a folder on a larger disk with --root, or fetch less with --part",
        )


def https_opener(*others: urllib.request.BaseHandler) -> Open:
    """Return an opener that knows no scheme but https, so that no redirection can leave it, and those of ``others``."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
        *others,
    ):
        director.add_handler(handler)
    return lambda request: director.open(request, timeout=_TIMEOUT_S)


def _fetch(archive: Archive, path: Path, opener: Open) -> None:
    """Download to ``path``, by way of a ``.part`` file that survives an interruption."""
    part, tag = path.with_name(path.name + ".part"), path.with_name(path.name + ".tag")
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(archive.url, headers={"User-Agent": "asr-ligru"})  # noqa: S310 - Archive.name has checked https
    if have and tag.is_file():
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag.read_text(encoding="ascii"))
    try:
        with opener(request) as response:
            goes_on = response.status == 206 and _starts_at(response.headers) == have
            total = int(response.headers.get("Content-Length") or 0) + (have if goes_on else 0)
            _keep_tag(tag, response.headers)
            _copy(response, part, goes_on, total)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not have:
            raise _failed(archive, str(error)) from error
        part.unlink()  # nothing lies beyond what is here, but it was never accepted: start again
        _fetch(archive, path, opener)
        return
    except (OSError, http.client.HTTPException) as error:
        raise _failed(archive, str(getattr(error, "reason", error))) from error
    part.replace(path)
    tag.unlink(missing_ok=True)


def _failed(archive: Archive, reason: str) -> EnvironmentError_:
    return EnvironmentError_(
        f"download failed: {reason}",
        where=archive.url,
        fix="check the connection and give the same command again, it goes on where it stopped; or download "
        "and unpack it elsewhere and name the folder with --root",
    )


def _starts_at(headers: Any) -> int:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range") or "")
    return int(match[1]) if match else -1


def _keep_tag(tag: Path, headers: Any) -> None:
    """Remember which version of the file this is, so that only the same one is continued."""
    value = headers.get("ETag") or headers.get("Last-Modified") or ""
    if value.isascii() and value.isprintable() and value and not value.startswith("W/"):
        atomic_write(tag, value)
    else:
        tag.unlink(missing_ok=True)


def _copy(response: BinaryIO, part: Path, goes_on: bool, total: int) -> None:
    """Write what comes to ``part``; errors of the disk and of the connection are told apart."""
    with write_errors(part.parent, total):
        file = part.open("ab" if goes_on else "wb", buffering=0)
    quiet = not sys.stderr.isatty()
    with (
        file,
        tqdm(desc=part.stem, initial=file.tell(), total=total or None, unit="B", unit_scale=True, disable=quiet) as bar,
    ):
        while block := response.read(_BLOCK_BYTES):
            with write_errors(part.parent, total):
                file.write(block)
            bar.update(len(block))
        done = file.tell()
    if total and done != total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _verified(archive: Archive, path: Path) -> Download:
    """Compare with the stated checksum, or with that of the first download."""
    actual = _digest(path, archive.algorithm)
    sha256 = actual if archive.algorithm == "sha256" else _digest(path, "sha256")
    record = path.with_name(path.name + ".sha256")
    if archive.digest:
        expected, got, said_by = archive.digest, actual, archive.stated_by
    elif record.is_file():
        expected, got, said_by = record.read_text(encoding="ascii").strip(), sha256, "the first download"
    else:
        atomic_write(record, sha256 + "\n")
        return Download(archive.url, sha256, "first download; nobody states a checksum, so this one was recorded")
    if got != expected:
        path.unlink()
        what = f"checksum {got}, expected {expected} ({archive.algorithm} stated by {said_by})"
        raise DataError(what, where=archive.url, fix=f"removed; download it again, or delete {record.name} too")
    return Download(archive.url, sha256, f"{archive.algorithm} equal to that of {said_by}")


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
