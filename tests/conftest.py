"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real corpora and oracles, or skip where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ASR_LIGRU_SHARED", default))
    if not (folder / "corpora").is_dir():
        pytest.skip(f"no real corpora at {folder}; set ASR_LIGRU_SHARED to the folder that holds corpora/ and oracles/")
    return folder
