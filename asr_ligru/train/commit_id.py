"""Which source a result was made with."""

from __future__ import annotations

import re
from pathlib import Path

import asr_ligru


def source_commit(checkout: Path | None = None) -> str:
    """Return the checkout's commit (12 hex digits), or the package's version where it is not a checkout.

    Args:
        checkout: the folder with ``.git``; by default the one this package is imported from.
    """
    git = (checkout or Path(__file__).resolve().parents[2]) / ".git"
    head = _read(git / "HEAD")
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        packed = re.search(rf"^([0-9a-f]{{40}}) {re.escape(name)}$", _read(git / "packed-refs"), re.MULTILINE)
        head = _read(git / name) or (packed.group(1) if packed else "")
    return head[:12] if re.fullmatch(r"[0-9a-f]{40}", head) else f"v{asr_ligru.__version__}"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
