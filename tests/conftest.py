"""Fixtures every test may use."""

from __future__ import annotations

import importlib.util
import ipaddress
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

if importlib.util.find_spec("torchaudio"):  # the tests of the recurrences run without it
    from asr_ligru import torchaudio_import

    torchaudio_import.ensure()  # before a test file imports torchaudio or speechbrain by itself
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is imported: kernels then run on the CPU
torch.set_num_threads(1)  # small tensors gain nothing from more, and lose a lot on a busy machine


def _stay_at_home(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse to ask for, or to reach, another machine: no test needs one."""
    if event == "socket.getaddrinfo":
        host, reached = arguments[0], False
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host, reached = arguments[1][0], True
    else:
        return
    if isinstance(host, str) and host not in ("", "localhost"):
        is_ours = ipaddress.ip_address(host).is_loopback  # a name is a ValueError
        assert is_ours or not reached, f"a test connects to {host}"


sys.addaudithook(_stay_at_home)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a GPU where there is none."""
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no GPU is at hand"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real corpora and oracles, or skip where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ASR_LIGRU_SHARED", default))
    if not (folder / "corpora").is_dir():
        pytest.skip(f"no real corpora at {folder}; set ASR_LIGRU_SHARED to the folder that holds corpora/ and oracles/")
    return folder


@pytest.fixture
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill new memory with NaN, so that reading what was never written shows."""

    def poison(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def poisoned(*args: object, **kwargs: object) -> Tensor:
            out = make(*args, **kwargs)
            return out.fill_(math.nan) if out.is_floating_point() and not out.requires_grad else out

        return poisoned

    for owner, name in ((torch, "empty"), (torch, "empty_like"), (Tensor, "new_empty")):
        monkeypatch.setattr(owner, name, poison(getattr(owner, name)))
