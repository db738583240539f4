"""Runs as training leaves them, made up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.score.made_runs import write_run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes one run's folder below ``tmp_path``."""
    return partial(write_run, tmp_path)
