"""The web application: the page, what it asks first, and transcription."""

from __future__ import annotations

import asyncio
import errno
import logging
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asr_ligru.errors import AsrLigruError
from asr_ligru.safety import printable
from asr_ligru.serve.guard import Guard
from asr_ligru.serve.hear import Ear
from asr_ligru.serve.limits import Gate, Limits
from asr_ligru.serve.refusal import Refusal, refusal_of
from asr_ligru.serve.upload import announced, receive

_log = logging.getLogger(__name__)

_PAGE = Path(__file__).with_name("page")
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_MAX_NAME_CHARS = 200
_GONE = 499  # nobody reads it
_FAILURES = (Refusal, AsrLigruError, HTTPException, ClientDisconnect, OSError, Exception)


def make_app(ear: Ear, limits: Limits, about: dict[str, Any], names: frozenset[str] = frozenset()) -> Starlette:
    """Return the application.

    Args:
        ear: transcribes.
        limits: what is accepted.
        about: what the page shows of the model and the server.
        names: by which the server may be called besides "localhost" and IP addresses.
    """
    desk = Desk(ear, limits)

    async def tell(request: Request) -> Response:
        return JSONResponse(about)

    return Starlette(
        routes=[
            *_page_routes(),
            Route("/api/about", tell),
            Route("/api/transcribe", desk.transcribe, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, names=names)],
        exception_handlers=dict.fromkeys(_FAILURES, _refuse),
        lifespan=desk.lifespan,
    )


class Desk:
    """Takes uploads, has them transcribed, a few at a time, and answers.

    Args:
        ear: transcribes.
        limits: what is accepted.
    """

    def __init__(self, ear: Ear, limits: Limits) -> None:
        self._ear = ear
        self._limits = limits
        self._gate = Gate(limits)
        self._threads = ThreadPoolExecutor(limits.jobs, thread_name_prefix="transcribe")

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Wait, in the end, for the threads, which have been told to stop."""
        yield
        self._threads.shutdown(cancel_futures=True)

    async def transcribe(self, request: Request) -> Response:
        """Answer an upload: its body is the audio file, ``name`` in the query how its owner calls it.

        Raises:
            Refusal: it is not accepted.
            AsrLigruError: it is no good.
        """
        size = announced(request.headers.get("content-length"), self._limits.max_bytes)
        stop = threading.Event()
        with ExitStack() as held:
            held.enter_context(self._gate.admit(size))
            file = held.enter_context(tempfile.TemporaryFile())  # has no name, so nothing can be left behind
            await receive(request.stream(), file, self._limits)
            started_s = time.monotonic()
            name = printable(request.query_params.get("name", "")[:_MAX_NAME_CHARS])
            job = self._threads.submit(self._ear.hear, file, name, stop)
            kept = held.pop_all()
            job.add_done_callback(lambda _: kept.close())  # not before the thread is done with the file
        try:
            answer = await self._result(job, request)
        finally:
            stop.set()
            job.cancel()
        audio_s = answer["transcript"]["duration_s"]
        _log.info("%.1f s of audio, answered after %.2f s", audio_s, time.monotonic() - started_s)
        return JSONResponse(answer)

    async def _result(self, job: Future[dict[str, Any]], request: Request) -> dict[str, Any]:
        """Wait for the thread, or until the client goes, or for as long as is allowed."""
        result = asyncio.wrap_future(job)
        gone = asyncio.ensure_future(request.receive())  # all was received: what comes next is the end
        either: set[asyncio.Future[Any]] = {result, gone}
        try:
            await asyncio.wait(either, timeout=self._limits.timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return await result
            if gone.done():
                raise ClientDisconnect
            what = f"not transcribed within {self._limits.timeout_s:g} s"
            raise Refusal(503, what, "try again when less is asked of this server, or send a shorter recording", 60)
        finally:
            gone.cancel()
            result.cancel()


def _page_routes() -> list[Route]:
    routes = [_file_route(f"/{path.name}", path) for path in sorted(_PAGE.iterdir()) if path.suffix in _MEDIA_TYPES]
    return [_file_route("/", _PAGE / "index.html"), *routes]


def _file_route(url: str, path: Path) -> Route:
    content, media_type = path.read_bytes(), _MEDIA_TYPES[path.suffix]

    async def give(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(url, give)


async def _refuse(request: Request, error: Exception) -> Response:
    """Return the answer to a request that failed; faults of our own are logged by the server."""
    if isinstance(error, AsrLigruError):
        error = refusal_of(error)
    elif isinstance(error, HTTPException):
        error = Refusal(error.status_code, f"{error.detail}: {request.method} {request.url.path[:100]}")
    elif isinstance(error, ClientDisconnect):
        error = Refusal(_GONE, "the client has gone")
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = Refusal(507, "the server's disk is full", "free some space for temporary files, or set TMPDIR", 60)
    elif not isinstance(error, Refusal):
        _log.error("a fault of asr-ligru itself", exc_info=error)
        error = Refusal(500, "a fault of asr-ligru itself; the server's terminal shows it", "please report it")
    return error.response()
