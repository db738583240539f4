"""A tiny model behind a real server on a free port, and a client of the standard library."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")

from asr_ligru.decode.choose import make_decoder
from asr_ligru.decode.result import Decoder
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.serve.app import make_app
from asr_ligru.serve.hear import Ear
from asr_ligru.serve.limits import Limits
from asr_ligru.serve.run import listen, server_of
from tests.tiny_model import TOKENIZER, network, write_model

ABOUT = {"model": "tiny", "max_bytes": 1_000_000, "max_seconds": 60, "is_local": True, "has_media": True}


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; underscores in names of headers stand for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def upload(self, body: Any, name: str = "x.wav", **headers: str) -> Answer:
        """Send a recording."""
        return self.ask("POST", f"/api/transcribe?name={quote(name, safe='')}", body, **headers)


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model that hears many words: blanks where the tiny model says "b"."""
    tensors = network().state_dict()
    _, blank, letter = TOKENIZER.encode("a b")
    for name in ("head.weight", "head.bias"):
        tensors[name][[blank, letter]] = tensors[name][[letter, blank]]
    return write_model(tmp_path_factory.mktemp("model"), tensors=tensors)


@pytest.fixture(scope="session")
def model(model_folder: Path) -> LoadedModel:
    """Return the model."""
    return load_model(model_folder)


@contextmanager
def running(model: LoadedModel, limits: Limits, decoder: Decoder | None = None) -> Iterator[Running]:
    """Run a server in a thread as long as the block runs."""
    ear = Ear(model, decoder or make_decoder(model), limits.max_seconds)
    with listen("127.0.0.1", 0) as bound:
        server = server_of(make_app(ear, limits, ABOUT, frozenset(["asr.example"])))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield Running(bound.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def start(model: LoadedModel) -> Iterator[Start]:
    """Return what starts a server with limits, and perhaps a decoder, of its own."""
    with ExitStack() as stack:

        def begin(decoder: Decoder | None = None, **limits: Any) -> Running:
            return stack.enter_context(running(model, replace(Limits(), **limits), decoder))

        yield begin


@pytest.fixture(scope="module")
def server(model: LoadedModel) -> Iterator[Running]:
    """Return a server with the usual limits."""
    with running(model, Limits(max_bytes=1_000_000, max_seconds=60.0)) as made:
        yield made


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    end_s = time.monotonic() + 30.0
    while not is_so():
        assert time.monotonic() < end_s, "it never came about"
        time.sleep(0.01)
