"""Finds and loads the compiled core, and declares its C interface (csrc/api.h) to ctypes."""

from __future__ import annotations

import ctypes
import os
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

from torch import Tensor

ABI = 3
LIBRARY = Path(__file__).parent / "_core.so"


class Frames(ctypes.Structure):
    """A float32 tensor (D, N, units) over the N frames of all utterances, with contiguous units."""

    _fields_ = (("data", c_void_p), ("direction", c_int64), ("frame", c_int64))

    @classmethod
    def of(cls, tensor: Tensor) -> Frames:
        """Describe a tensor (D, N, units); it must outlive the calls that read the description."""
        return cls(tensor.data_ptr(), *tensor.stride()[:2])


class Job(ctypes.Structure):
    """Some rows of a batch over the whole sequence; every field is explained in csrc/api.h."""

    _fields_ = (
        ("cell", c_int64),
        ("hidden", c_int64),
        ("batch", c_int64),
        ("rows", c_int64),
        ("order", c_void_p),
        ("start", c_void_p),
        ("length", c_void_p),
        ("reversed", c_int64),
        ("eps", c_double),
        ("panels", c_void_p),
        ("wx", Frames),
        ("h", Frames),
        ("saved", Frames),
        ("h0", c_void_p),
        ("mask", c_void_p),
        ("grad_h", Frames),
        ("grad_wx", Frames),
        ("grad_v", Frames),
        ("grad_h0", c_void_p),
    )


_Pack = CFUNCTYPE(None, c_int64, c_int64, c_void_p, c_void_p)
_Run = CFUNCTYPE(c_int, POINTER(Job))


class Core(ctypes.Structure):
    """One instruction set's build of the core."""

    _fields_ = (
        ("name", c_char_p),
        ("lanes", c_int64),
        ("panel_floats", CFUNCTYPE(c_int64, c_int64, c_int64)),
        ("pack_forward", _Pack),
        ("pack_backward", _Pack),
        ("forward", _Run),
        ("backward", _Run),
    )


def refusal() -> str:
    """Say why the compiled core cannot be used.

    Returns:
        The reason in words, or an empty string when it can be used.
    """
    return _load()[1]


def core() -> Core:
    """Return the build of the core for this processor.

    The environment variable ``ASR_LIGRU_CPU_CORE`` (``avx512``, ``avx2`` or ``base``) picks another, for tests and
    comparisons.

    Raises:
        RuntimeError: the core is not available; ask :func:`refusal` first.
    """
    found: Core = compiled().asr_ligru_core(_name()).contents
    return found


def compiled() -> ctypes.CDLL:
    """Return the library of the compiled core.

    Raises:
        RuntimeError: the core is not available; ask :func:`refusal` first.
    """
    library, reason = _load()
    if library is None:
        raise RuntimeError(reason)
    return library


def _name() -> bytes:
    return os.environ.get("ASR_LIGRU_CPU_CORE", "").encode()


def prefer_large_pages(address: int, size_bytes: int) -> None:
    """Advise the system to back memory that was not yet written with large pages; does nothing where it has none."""
    library = _load()[0]
    if library is not None:
        library.asr_ligru_prefer_large_pages(address, size_bytes)


@cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    if not LIBRARY.exists():
        return None, "the compiled CPU core is not installed (no C compiler was found when asr-ligru was installed)"
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        return None, f"the compiled CPU core does not load here: {error}"
    library.asr_ligru_abi.restype = c_int64
    library.asr_ligru_job_bytes.restype = c_int64
    if library.asr_ligru_abi() != ABI or library.asr_ligru_job_bytes() != ctypes.sizeof(Job):
        return None, "the compiled CPU core belongs to another version of asr-ligru; install it again"
    library.asr_ligru_core.restype = POINTER(Core)
    library.asr_ligru_core.argtypes = (c_char_p,)
    library.asr_ligru_viterbi.argtypes = (c_void_p, c_int64, c_int64)
    library.asr_ligru_prefer_large_pages.restype = None
    library.asr_ligru_prefer_large_pages.argtypes = (c_void_p, c_int64)
    if not library.asr_ligru_core(_name()):
        return None, f"this processor or build has no CPU core named {_name().decode()!r} (ASR_LIGRU_CPU_CORE)"
    return library, ""
