"""Where ``conf/`` and ``recipes/`` are: in a wheel, an editable install or a checkout never installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent


def folder(name: str) -> Path:
    """Return the folder of packaged resources ``name`` ("conf" or "recipes").

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    spec = importlib.util.find_spec(f"asr_ligru.{name}")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    beside = _CHECKOUT / name
    if beside.is_dir():
        return beside
    raise FileNotFoundError(f"asr_ligru.{name} is not installed and {beside} does not exist")
