"""The three libraries of the extra ``wfst``, loaded when they are first needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from asr_ligru.errors import EnvironmentError_


def kaldifst() -> ModuleType:
    """Return the library that composes, determinizes and minimizes transducers.

    Raises:
        EnvironmentError_: it is not installed; names the command that installs it.
    """
    return _load("kaldifst")


def kaldilm() -> ModuleType:
    """Return the library that turns an ARPA language model into a transducer, or raise as ``kaldifst``."""
    return _load("kaldilm")


def kaldi_decoder() -> ModuleType:
    """Return the library that searches, or raise as ``kaldifst``."""
    kaldifst()  # it needs kaldifst's types
    return _load("kaldi_decoder")


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        what = f"decode=wfst needs {name.replace('_', '-')}, which is not installed"
        raise EnvironmentError_(what, fix='pip install "asr-ligru[wfst]"') from error
