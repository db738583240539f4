"""Graphs kept on disk under the hash of what they were made from; the folder can be deleted at any time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from asr_ligru.decode.wfst.graph import DecodingGraph
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety import printable
from asr_ligru.safety.files import TEMP_PREFIX, read_json
from asr_ligru.safety.sealed import open_sealed, seal_folder

_FORMAT = 1  # also of what graphs are made like: raise it when the same input gives another graph
_SEAL, _TENSORS, _WORDS = "graph.json", "graph.safetensors", "words.json"
_MAX_WORDS_BYTES = 1 << 30

_log = logging.getLogger(__name__)


def default_cache() -> Path:
    """Return the user's folder for graphs: ``$XDG_CACHE_HOME/asr-ligru/graphs``, or that below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asr-ligru" / "graphs"


def graph_key(parts: Iterable[str | bytes]) -> str:
    """Return the name of the graph that is made from ``parts``, 64 hexadecimal digits."""
    digest = hashlib.sha256(str(_FORMAT).encode())
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(hashlib.sha256(raw).digest())
    return digest.hexdigest()


def cached_graph(folder: Path, key: str, build: Callable[[], DecodingGraph]) -> DecodingGraph:
    """Return the graph called ``key``, made by ``build`` where there is no intact one.

    Several processes may ask for the same graph at once: each finds a whole one or makes its own. A folder that cannot
    be written is reported, and nothing kept.

    Args:
        folder: made when the first graph is written.
        key: from ``graph_key``.
        build: its errors are passed on.
    """
    place = folder / key
    graph = _read(place)
    if graph is None:
        graph = build()
        _write(place, graph)
    return graph


def _read(place: Path) -> DecodingGraph | None:
    """Return the graph in a folder, or None; a damaged one is put out of the way."""
    if not place.is_dir():
        return None
    try:
        head = open_sealed(place, seal=_SEAL, format=_FORMAT)
        words = read_json(place / _WORDS, _MAX_WORDS_BYTES)
        return DecodingGraph.of({**head, **words}, unpack(place / _TENSORS))
    except DataError as error:
        doomed = _private(place)
        with contextlib.suppress(OSError):  # another process was faster, or nothing can be changed here
            place.rename(doomed)
            _log.warning("a kept decoding graph is damaged and made again: %s", error.what)
        shutil.rmtree(doomed, ignore_errors=True)
        return None


def _write(place: Path, graph: DecodingGraph) -> None:
    """Keep a graph, unless another process has done so by now."""
    head = graph.head()
    words = {name: head.pop(name) for name in ("words", "left_out")}
    files = {_TENSORS: pack(graph.tensors()), _WORDS: json.dumps(words).encode()}
    mine = _private(place)
    try:
        seal_folder(mine, files, seal=_SEAL, format=_FORMAT, head=head)
    except EnvironmentError_ as error:
        _log.warning("the decoding graph is not kept: %s (%s)", error.what, printable(str(place.parent)))
        return
    try:
        mine.rename(place)
    except OSError as error:
        shutil.rmtree(mine, ignore_errors=True)
        if not place.is_dir():
            _log.warning("the decoding graph is not kept: %s", error)


def _private(place: Path) -> Path:
    """Return a name beside ``place`` that no other process uses."""
    return place.with_name(f"{TEMP_PREFIX}{uuid.uuid4().hex}")
