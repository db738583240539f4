"""Shards brought to this machine one after another, checked, and removed again."""

from __future__ import annotations

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from asr_ligru.data.download import https_opener
from asr_ligru.data.shards import INDEX, Shard, ShardIndex, read_index
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.safety import printable, sha256_file
from asr_ligru.safety.files import atomic_file, write_errors

RETRIES = 3
_PAUSE_S = 1.0  # before the first retry, twice as long before the next
_BLOCK_BYTES = 1 << 20


class ShardStore:
    """The files of a folder of shards, here or elsewhere.

    Those in a local folder stay where they are. Others are copied: index and manifests at once, archives when they are
    asked for.

    Args:
        location: a folder, an http or https address, or any that fsspec reads, such as ``s3://bucket/shards``.
        copies: where copies are kept; made if need be.

    Attributes:
        index: what there is.

    Raises:
        DataError: no index there, or a damaged manifest.
        EnvironmentError_: fsspec needs another library for this kind of address.
    """

    def __init__(self, location: str, copies: Path) -> None:
        self._base = location.rstrip("/")
        self._remote = bool(urlsplit(location).scheme)
        self._folder = copies if self._remote else Path(location)
        self._intact: set[str] = set()
        self._coming: dict[str, Future[None]] = {}
        if self._remote:
            with write_errors(copies, 0):
                copies.mkdir(parents=True, exist_ok=True)
            self._fetch(INDEX, "")
        self.index: ShardIndex = read_index(self._folder / INDEX)
        for shard in self.index.shards:
            self._obtain(shard.manifest, shard.list_sha256)

    def manifest(self, shard: Shard) -> Path:
        """Return the manifest of a shard; its utterances name the archive, whether it is there or not."""
        return self._folder / shard.manifest

    def obtain(self, shard: Shard) -> None:
        """Wait until an archive is here and intact.

        Raises:
            DataError: it cannot be had, or is damaged, after retries.
        """
        coming = self._coming.pop(shard.name, None)
        if coming is not None:
            coming.result()
        else:
            self._obtain(shard.tar, shard.sha256)

    def begin(self, shard: Shard) -> None:
        """Start to bring an archive while others are used; ``obtain`` waits for it."""
        future: Future[None] = Future()
        self._coming[shard.name] = future
        Thread(target=self._bring, args=(shard, future), daemon=True).start()

    def keep(self, shards: Collection[Shard]) -> None:
        """Remove the copies of all other archives."""
        if not self._remote:
            return
        kept = {shard.tar for shard in shards}
        for path in self._folder.glob("*.tar"):
            if path.name not in kept:
                self._intact.discard(path.name)
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all copies."""
        if self._remote:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _bring(self, shard: Shard, future: Future[None]) -> None:
        try:
            self._obtain(shard.tar, shard.sha256)
        except BaseException as error:
            future.set_exception(error)  # raised where the shard is waited for
        else:
            future.set_result(None)

    def _obtain(self, name: str, sha256: str) -> None:
        """Check a file, fetch it if need be, and remember that it is intact."""
        if name in self._intact:
            return
        path = self._folder / name
        if not (self._remote and path.is_file() and sha256_file(path) == sha256):
            self._fetch(name, sha256)
        self._intact.add(name)

    def _fetch(self, name: str, sha256: str) -> None:
        """Copy a file here, or read it where it is; a few times if that fails."""
        for attempt in range(RETRIES + 1):
            if attempt:
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
            try:
                if self._remote:
                    self._copy(name)
                found = sha256_file(self._folder / name) if sha256 else ""
                if found == sha256:
                    return
                reason = "its checksum is not that of the index"
            except urllib.error.HTTPError as error:
                error.close()
                reason = str(error)
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = str(getattr(error, "reason", "") or error)
        what = f"cannot read shard, {RETRIES + 1} times: {printable(reason)}"
        raise DataError(what, where=f"{self._base}/{name}", fix="make it available again, or write the shards anew")

    def _copy(self, name: str) -> None:
        with closing(_opened(f"{self._base}/{name}")) as source, atomic_file(self._folder / name) as target:
            while block := source.read(_BLOCK_BYTES):
                with write_errors(self._folder, len(block)):
                    target.write(block)


def _opened(address: str) -> BinaryIO:
    """Open an address for reading."""
    if urlsplit(address).scheme in ("http", "https"):
        request = urllib.request.Request(address)  # noqa: S310 - http or https, as was just seen
        return cast(BinaryIO, https_opener(urllib.request.HTTPHandler())(request))
    import fsspec

    try:
        return cast(BinaryIO, fsspec.open(address, "rb").open())
    except ImportError as error:
        raise EnvironmentError_(f"cannot open addresses like this: {error}", where=address) from error
