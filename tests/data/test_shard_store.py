"""Shards come from a folder, a web server or fsspec; what is missing or damaged is tried again, then named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import pytest

from asr_ligru.config import CorpusConfig
from asr_ligru.data import shard_store
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.shard_store import ShardStore
from asr_ligru.data.shards import write_shards
from asr_ligru.errors import DataError, EnvironmentError_
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_store, "_PAUSE_S", 0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), num_train=12)
    write_shards(read_manifest(folder / "train.jsonl"), folder / "shards", CorpusConfig(), SAMPLE_RATE_HZ, 40_000)
    return folder / "shards"


@pytest.fixture
def shards(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "shards"))


class Quiet(SimpleHTTPRequestHandler):
    """A web server that says nothing, and fails when it is told to."""

    failures = 0

    def do_GET(self) -> None:
        if Quiet.failures and self.path.endswith(".tar"):
            Quiet.failures -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def web(shards: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shards))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        Quiet.failures = 0
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def held(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.tar")}


def test_store_of_a_folder_copies_nothing(shards: Path, tmp_path: Path) -> None:
    store = ShardStore(str(shards), tmp_path / "copies")
    for shard in store.index.shards:
        store.obtain(shard)
        assert read_manifest(store.manifest(shard))[0].audio_path == shards / shard.tar
    store.keep([])
    store.close()
    assert len(held(shards)) == len(store.index.shards)
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("kind", ["http", "fsspec"])
def test_store_elsewhere_copies_what_is_asked_for_and_removes_it(
    kind: str, web: str, shards: Path, tmp_path: Path
) -> None:
    if kind == "fsspec":
        fsspec.filesystem("memory").put(str(shards), "/made", recursive=True)
    store = ShardStore(web if kind == "http" else "memory://made/", tmp_path / "copies")
    first, second, third = store.index.shards[:3]
    assert held(tmp_path / "copies") == set()
    store.obtain(first)
    store.begin(second)
    store.obtain(second)
    assert held(tmp_path / "copies") == {first.tar, second.tar}
    assert (tmp_path / "copies" / second.tar).read_bytes() == (shards / second.tar).read_bytes()
    store.keep([second])
    store.obtain(third)
    assert held(tmp_path / "copies") == {second.tar, third.tar}
    store.close()
    assert not (tmp_path / "copies").exists()


def test_obtain_tries_again_what_fails(web: str, tmp_path: Path) -> None:
    store = ShardStore(web, tmp_path / "copies")
    Quiet.failures = shard_store.RETRIES
    store.obtain(store.index.shards[0])
    Quiet.failures = shard_store.RETRIES + 1
    with pytest.raises(DataError, match="4 times: HTTP Error 503"):
        store.obtain(store.index.shards[1])


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_obtain_damaged_shard_is_named(damage: str, local: bool, web: str, shards: Path, tmp_path: Path) -> None:
    store = ShardStore(str(shards) if local else web, tmp_path / "copies")
    path = shards / store.index.shards[1].tar
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.unlink() if damage == "missing" else path.write_bytes(data[:3000] if damage == "truncated" else data)
    store.begin(store.index.shards[1])
    with pytest.raises(DataError, match="cannot read shard, 4 times") as caught:
        store.obtain(store.index.shards[1])
    assert caught.value.where.endswith(f"/{path.name}")
    store.obtain(store.index.shards[0])


def test_obtain_copy_of_an_interrupted_run_is_used_only_if_intact(web: str, shards: Path, tmp_path: Path) -> None:
    first, second = ShardStore(web, tmp_path / "copies").index.shards[:2]
    shutil.copy(shards / first.tar, tmp_path / "copies")
    (tmp_path / "copies" / second.tar).write_bytes(b"half")
    Quiet.failures = 10
    again = ShardStore(web, tmp_path / "copies")
    again.obtain(first)
    assert Quiet.failures == 10
    Quiet.failures = 0
    again.obtain(second)
    assert (tmp_path / "copies" / second.tar).read_bytes() == (shards / second.tar).read_bytes()


def test_store_of_what_is_not_there_says_so(web: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="HTTP Error 404"):
        ShardStore(f"{web}/elsewhere", tmp_path / "copies")
    with pytest.raises(DataError, match="cannot read JSON"):
        ShardStore(str(tmp_path / "nowhere"), tmp_path / "copies")
    with pytest.raises(EnvironmentError_, match="cannot open addresses"):
        ShardStore("s3://bucket/shards", tmp_path / "copies")
