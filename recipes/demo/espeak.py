"""The espeak-ng synthesiser, loaded from the espeakng-loader wheel at run time."""

from __future__ import annotations

import ctypes
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_ligru.errors import EnvironmentError_

from .voices import Voice

SAMPLE_RATE_HZ = 22050  # of every voice that is used here
_SYNCHRONOUS = 2  # output goes to a callback, and synthesis returns when it is done
_OPTIONS = 0x0001 | 0x8000  # phoneme events; return an error code instead of ending the process
_UTF8 = 1
_SEPARATOR = "_"
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_NOISE_SEED = 1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that begins at one sample of the synthesised speech.

    Attributes:
        kind: "word", "phone" or "end".
        sample: where, in samples at 22,050 Hz.
        char: position in the text of the word it belongs to, from 0.
        phone: espeak's mnemonic with its stress mark, of a "phone".
    """

    kind: str
    sample: int
    char: int
    phone: str = ""


_KINDS = {1: "word", 5: "end", 7: "phone"}


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng's speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Engine:
    """One espeak-ng with one voice; a context manager.

    espeak-ng keeps oscillator phases and random numbers from one sentence to the next in static variables that nothing
    resets. Each engine therefore loads its own copy of the library: what it says depends on its voice and on what it
    said before, never on other engines.

    Args:
        voice: who speaks.

    Raises:
        EnvironmentError_: espeakng-loader is not installed, or its library cannot be loaded or lacks the voice.
    """

    def __init__(self, voice: Voice) -> None:
        loader = _loader()
        self._lib = _private_copy(Path(loader.get_library_path()))
        self._chunks: list[bytes] = []
        self._events: list[Event] = []
        self._callback = _Callback(self._receive)
        rate_hz = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, loader.get_data_path().encode(), _OPTIONS)
        if rate_hz != SAMPLE_RATE_HZ:
            raise _broken(f"espeak-ng did not start (espeak_Initialize returned {rate_hz})")
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(_NOISE_SEED))
        self._choose(voice)

    def _choose(self, voice: Voice) -> None:
        name = f"{voice.accent}+{voice.variant}"
        if self._lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise _broken(f"espeak-ng has no voice {name!r}")
        for parameter, value in ((_RATE, voice.rate_wpm), (_PITCH, voice.pitch), (_RANGE, voice.pitch_range)):
            self._lib.espeak_SetParameter(parameter, value, 0)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._lib.espeak_Terminate()
        _unload(self._lib)

    def version(self) -> str:
        """Return espeak-ng's own version, "1.52.0"."""
        found: bytes = self._lib.espeak_Info(None)
        return found.decode().split()[0]

    def say(self, text: str) -> tuple[NDArray[np.int16], list[Event]]:
        """Synthesise a sentence.

        Args:
            text: its words.

        Returns:
            The samples at 22,050 Hz, and the events in order of time.
        """
        self._chunks.clear()
        self._events.clear()
        raw = text.encode()
        if self._lib.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, _UTF8, None, None) != 0:
            raise _broken(f"espeak-ng could not say {text!r}")
        return np.frombuffer(b"".join(self._chunks), np.int16), list(self._events)

    def phones(self, word: str) -> list[str]:
        """Return how a word is said on its own, in espeak's mnemonics with stress marks."""
        text = ctypes.c_char_p(word.encode())
        found: bytes = self._lib.espeak_TextToPhonemes(ctypes.byref(text), _UTF8, ord(_SEPARATOR) << 8)
        return found.decode().strip().split(_SEPARATOR)

    def _receive(self, wav: Any, count: int, events: Any) -> int:
        """Keep what espeak-ng hands over; returning 0 asks for more."""
        if count > 0:
            self._chunks.append(ctypes.string_at(wav, 2 * count))
        index = 0
        while events[index].type != 0:
            event = events[index]
            if event.type in _KINDS:
                phone = event.id.string.decode() if _KINDS[event.type] == "phone" else ""
                self._events.append(Event(_KINDS[event.type], event.sample, event.text_position - 1, phone))
            index += 1
        return 0


def _loader() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        what = "the demo corpus is synthesised with espeakng-loader, which is not installed"
        raise EnvironmentError_(what, fix='pip install "asr-ligru[demo]"') from error
    return espeakng_loader


def _private_copy(library: Path) -> ctypes.CDLL:
    """Load a library under a name of its own, so that it shares no variable with one loaded before."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            lib = ctypes.CDLL(shutil.copy(library, folder))
        except OSError as error:
            raise _broken(f"cannot load {library.name}: {error}") from error
    lib.espeak_Info.restype = ctypes.c_char_p
    lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return lib


def _unload(lib: ctypes.CDLL) -> None:
    if sys.platform != "win32":
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(lib._handle))


def _broken(what: str) -> EnvironmentError_:
    return EnvironmentError_(what, fix='pip install --force-reinstall "asr-ligru[demo]"')
