"""Where the Triton kernels can run, and what their tests share."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os

CELLS = ("ligru", "sligru", "libru_arith", "libru_harm", "libru_geo")


def why_not_here() -> str:
    """Return why triton cannot be used; empty when it can."""
    return "" if importlib.util.find_spec("triton") else "triton is not installed"


def why_not_interpreted() -> str:
    """Return why kernels cannot run on the CPU, through triton's interpreter; empty when they can."""
    if why_not_here():
        return why_not_here()
    if os.environ.get("TRITON_INTERPRET") != "1":
        return "kernels are compiled for the GPU that is here"
    if not importlib.util.find_spec("numpy"):
        return "triton's interpreter needs numpy"
    if _version("triton") < (3, 7) and _version("numpy") >= (2, 4):
        return "the interpreter of triton 3.6 needs numpy before 2.4"
    return ""


def _version(package: str) -> tuple[int, int]:
    major, minor = importlib.metadata.version(package).split(".")[:2]
    return int(major), int(minor)
