"""Downloads go on where they stopped, are checked, and know no scheme but https."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from asr_ligru.data.download import Archive, Open, download_corpus, https_opener
from asr_ligru.errors import ConfigError, DataError, EnvironmentError_

URL = "https://corpora.example/files/tiny.tar.gz"


def _archive(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        member = tarfile.TarInfo("tiny/a.txt")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


@dataclass
class Server:
    """A server on the loopback interface that can break off, and what was asked of it."""

    content: bytes
    stop_after: int | None = None  # bytes sent before the connection is closed
    tag: str = '"v1"'
    ranges: bool = True
    status: int = 200
    requests: list[str | None] = field(default_factory=list)  # the Range of each request
    port: int = 0

    def opener(self) -> Open:
        """Return the test's way around https: the same request, to this server."""

        def open_(request: urllib.request.Request) -> Any:
            here = urllib.request.Request(f"http://127.0.0.1:{self.port}/", headers=dict(request.header_items()))
            return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(here, timeout=10)

        return open_

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.requests.append(asked)
        if self.status != 200:
            handler.send_error(self.status)
            return
        if asked == f"bytes={len(self.content)}-":
            handler.send_error(416)
            return
        start = int(asked[6:-1]) if asked and self.ranges and handler.headers.get("If-Range") == self.tag else 0
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", self.tag)
        handler.end_headers()
        handler.wfile.write(body[: self.stop_after])


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(_archive(bytes(range(256)) * 4000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def test_download_unpacks_and_records_the_first_checksum(tmp_path: Path, server: Server) -> None:
    (download,) = download_corpus([Archive(URL)], tmp_path, server.opener())
    assert (tmp_path / "unpacked-0" / "tiny" / "a.txt").read_bytes() == bytes(range(256)) * 4000
    assert download.sha256 == hashlib.sha256(server.content).hexdigest()
    assert "nobody states a checksum" in download.check
    assert (tmp_path / "tiny.tar.gz.sha256").read_text(encoding="ascii") == download.sha256 + "\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.tar.gz", "tiny.tar.gz.sha256", "unpacked-0"]


def test_download_again_asks_the_server_nothing(tmp_path: Path, server: Server) -> None:
    download_corpus([Archive(URL)], tmp_path, server.opener())
    (again,) = download_corpus([Archive(URL)], tmp_path, server.opener())
    assert len(server.requests) == 1
    assert "the first download" in again.check


def test_download_interrupted_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.stop_after = 1000
    with pytest.raises(EnvironmentError_, match=rf"after 1000 of {len(server.content)} bytes"):
        download_corpus([Archive(URL)], tmp_path, server.opener())
    assert not (tmp_path / "tiny.tar.gz").exists()
    server.stop_after = None
    download_corpus([Archive(URL)], tmp_path, server.opener())
    assert server.requests == [None, "bytes=1000-"]
    assert (tmp_path / "tiny.tar.gz").read_bytes() == server.content


@pytest.mark.parametrize("change", ["file", "no ranges"])
def test_download_interrupted_starts_again_when_it_cannot_go_on(tmp_path: Path, server: Server, change: str) -> None:
    server.stop_after = 1000
    with pytest.raises(EnvironmentError_):
        download_corpus([Archive(URL)], tmp_path, server.opener())
    server.stop_after = None
    if change == "file":
        server.content, server.tag = _archive(b"another version"), '"v2"'
    else:
        server.ranges = False
    download_corpus([Archive(URL)], tmp_path, server.opener())
    assert (tmp_path / "tiny.tar.gz").read_bytes() == server.content


def test_download_interrupted_after_the_last_byte_starts_again(tmp_path: Path, server: Server) -> None:
    (tmp_path / "tiny.tar.gz.part").write_bytes(server.content)
    (tmp_path / "tiny.tar.gz.tag").write_text(server.tag, encoding="ascii")
    download_corpus([Archive(URL)], tmp_path, server.opener())
    assert server.requests == [f"bytes={len(server.content)}-", None]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_download_equal_to_the_stated_checksum_is_accepted(tmp_path: Path, server: Server, algorithm: str) -> None:
    digest = hashlib.new(algorithm, server.content).hexdigest()
    archive = replace(Archive(URL, digest=digest, stated_by="its publisher"), algorithm=algorithm)  # type: ignore[arg-type]
    (download,) = download_corpus([archive], tmp_path, server.opener())
    assert download.check == f"{algorithm} equal to that of its publisher"
    assert download.sha256 == hashlib.sha256(server.content).hexdigest()


def test_download_unlike_the_stated_checksum_is_removed(tmp_path: Path, server: Server) -> None:
    archive = Archive(URL, digest="0" * 64, stated_by="its publisher")
    with pytest.raises(DataError, match=f"expected {'0' * 64} .*its publisher"):
        download_corpus([archive], tmp_path, server.opener())
    assert list(tmp_path.iterdir()) == []


def test_download_unlike_the_first_one_is_refused(tmp_path: Path, server: Server) -> None:
    download_corpus([Archive(URL)], tmp_path, server.opener())
    (tmp_path / "tiny.tar.gz").unlink()
    server.content = _archive(b"changed by somebody")
    with pytest.raises(DataError, match="the first download"):
        download_corpus([Archive(URL)], tmp_path, server.opener())


@pytest.mark.parametrize("status", [403, 404, 500])
def test_download_server_error_names_address_and_status(tmp_path: Path, server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(EnvironmentError_, match=URL) as caught:
        download_corpus([Archive(URL)], tmp_path, server.opener())
    assert str(status) in str(caught.value)
    assert "--root" in caught.value.fix


def test_download_takes_the_parts_asked_for_and_says_their_sizes_first(tmp_path: Path, server: Server) -> None:
    (tmp_path / "first").mkdir()
    archives = [
        Archive(URL, part="one", megabytes=1200),
        Archive(URL.replace("tiny", "words").replace("tar.gz", "txt"), part="two", megabytes=3),
        Archive(URL.replace("tiny", "other"), part="three", on_request=True),
    ]
    said: list[str] = []
    done = download_corpus(archives, tmp_path / "first", server.opener(), say=said.append)
    assert [download.url for download in done] == [archive.url for archive in archives[:2]]
    assert [line.split()[:2] for line in said] == [["1,200", "MB"], ["3", "MB"], ["1,203", "MB"]]
    assert (tmp_path / "first" / "words.txt").read_bytes() == server.content  # as it is
    download_corpus(archives, tmp_path, server.opener(), parts=["three"])
    assert sorted(path.name for path in tmp_path.glob("unpacked-*")) == ["unpacked-2"]
    with pytest.raises(ConfigError, match="did you mean 'two'"):
        download_corpus(archives, tmp_path, server.opener(), parts=["tow"])


def test_download_larger_than_the_disk_fetches_nothing(tmp_path: Path, server: Server) -> None:
    with pytest.raises(EnvironmentError_, match="disk full: needs 10,000,000,000 MB"):
        download_corpus([Archive(URL, megabytes=10**10)], tmp_path, server.opener())
    assert server.requests == []


def test_download_without_network_says_so(tmp_path: Path) -> None:
    def offline(request: urllib.request.Request) -> Any:
        raise urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))

    with pytest.raises(EnvironmentError_, match="name resolution"):
        download_corpus([Archive(URL)], tmp_path, offline)


def test_download_of_what_is_no_archive_is_refused(tmp_path: Path, server: Server) -> None:
    server.content = b"<html>log in first</html>"
    with pytest.raises(DataError, match="refused to unpack"):
        download_corpus([Archive(URL)], tmp_path, server.opener())


@pytest.mark.parametrize(
    "url",
    ["http://host/a.tar.gz", "file:///etc/passwd", "ftp://host/a.tar", "https://host/", "https://host/..", "a.tar"],
)
def test_archive_that_is_no_https_file_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="not an https address"):
        download_corpus([Archive(url)], tmp_path)


@pytest.mark.parametrize("scheme", ["http", "file", "ftp", "data"])
def test_default_opener_knows_no_other_scheme(server: Server, scheme: str, tmp_path: Path) -> None:
    address = {
        "http": f"http://127.0.0.1:{server.port}/",
        "file": (tmp_path / "x").as_uri(),
        "ftp": f"ftp://127.0.0.1:{server.port}/x",
        "data": "data:,x",
    }[scheme]
    with pytest.raises(urllib.error.URLError, match="unknown url type"):
        https_opener()(urllib.request.Request(address))
    assert server.requests == []
