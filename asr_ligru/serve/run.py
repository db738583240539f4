"""Start the server and run it until a signal ends it."""

from __future__ import annotations

import errno
import importlib.util
import os
import socket

import torch
import uvicorn
from starlette.applications import Starlette

from asr_ligru.decode.result import Decoder
from asr_ligru.errors import ConfigError, EnvironmentError_
from asr_ligru.models.load import LoadedModel
from asr_ligru.safety import printable
from asr_ligru.serve.app import make_app
from asr_ligru.serve.guard import is_loopback
from asr_ligru.serve.hear import Ear
from asr_ligru.serve.limits import Limits

_GRACE_S = 1  # that answers under way get when the server is stopped
_MAX_CONNECTIONS = 1000


def make_server(
    model: LoadedModel, decoder: Decoder, limits: Limits, *, name: str, is_local: bool, names: frozenset[str]
) -> uvicorn.Server:
    """Return a server that is not bound to an address yet.

    Args:
        model: what decodes.
        decoder: from log probabilities to words.
        limits: what it accepts.
        name: of the model, for the page.
        is_local: whether the page may say that recordings stay on this computer.
        names: by which it may be called besides "localhost" and IP addresses.
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // limits.jobs))
    about = {
        "model": printable(name),
        "max_bytes": limits.max_bytes,
        "max_seconds": limits.max_seconds,
        "is_local": is_local,
        "has_media": importlib.util.find_spec("av") is not None,
    }
    return server_of(make_app(Ear(model, decoder, limits.max_seconds), limits, about, names))


def server_of(app: Starlette) -> uvicorn.Server:
    """Return a quiet server of an application that ends soon when it is told to."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address and listens.

    Args:
        host: a name or address of this computer.
        port: 0 takes a free one.

    Raises:
        EnvironmentError_: the port is taken, or may not be used.
        ConfigError: this computer has no such address.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            what = f"cannot use port {port}: {os.strerror(error.errno)}"
            raise EnvironmentError_(what, fix="choose another: --port 0 takes a free one") from error
        raise ConfigError(f"cannot bind to {host}: {error.strerror or error}", where="--host") from error


def url_of(bound: socket.socket, host: str) -> str:
    """Return where a browser finds what listens on a socket."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound.getsockname()[1]}/"


def warning_of(host: str) -> str:
    """Return what is to be said before others can reach the server; empty when they cannot."""
    if is_loopback(host):
        return ""
    return (
        f"warning: bound to {host}: everybody who reaches this computer over the network can use the page, and nothing "
        "is encrypted\n  fix: leave --host out, and use ssh -L from elsewhere"
    )
