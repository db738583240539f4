"""The espeak-ng synthesiser, loaded from the espeakng-loader wheel at run time."""

from __future__ import annotations

import ctypes
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def engine(voice: Voice) -> Iterator[Engine]:
    """Provide an espeak-ng of its own for one voice.

    espeak-ng keeps oscillator phases and random numbers from one sentence to the next in static variables that nothing
    resets. Each engine therefore loads its own copy of the library: what it says depends on its voice and on what it
    said before, never on other engines.

    Args:
        voice: who speaks.

    Raises:
        EnvironmentError_: espeakng-loader is not installed, or its library cannot be loaded or lacks the voice.
    """
    loader = _loader()
    with tempfile.TemporaryDirectory(prefix="espeak") as folder:
        data = Path(folder, "espeak-ng-data")
        data.symlink_to(loader.get_data_path())  # espeak-ng takes no path longer than 160 bytes
        lib = _load(shutil.copy(loader.get_library_path(), folder))
        rate_hz = lib.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _OPTIONS)
        if rate_hz != SAMPLE_RATE_HZ:
            raise _broken(f"espeak-ng did not start (espeak_Initialize returned {rate_hz})")
        try:
            yield Engine(lib, voice, data / "voices" / "!v")
        finally:
            lib.espeak_Terminate()
            _unload(lib)


class Engine:
    """An espeak-ng that speaks with one voice; ``engine`` makes one.

    Args:
        lib: the library, initialised.
        voice: who speaks.
        variants: the folder of espeak-ng's voice variants.

    Raises:
        EnvironmentError_: there is no such voice.
    """

    def __init__(self, lib: ctypes.CDLL, voice: Voice, variants: Path) -> None:
        self._lib = lib
        self._chunks: list[bytes] = []
        self._events: list[Event] = []
        self._callback = _Callback(self._receive)  # kept: espeak-ng holds its address only
        lib.espeak_SetSynthCallback(self._callback)
        lib.espeak_ng_SetRandSeed(ctypes.c_long(_NOISE_SEED))
        name = f"{voice.accent}+{voice.variant}"
        # An unknown variant is no error to espeak-ng: it speaks without.
        known = (variants / voice.variant).is_file()
        if not known or lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise _broken(f"espeak-ng has no voice {name!r}")
        for parameter, value in ((_RATE, voice.rate_wpm), (_PITCH, voice.pitch), (_RANGE, voice.pitch_range)):
            lib.espeak_SetParameter(parameter, value, 0)

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

    def phones(self, text: str) -> list[list[str]]:
        """Return how each word of a sentence is said, in espeak's mnemonics with stress marks."""
        raw = ctypes.c_char_p(text.encode())
        found: bytes = self._lib.espeak_TextToPhonemes(ctypes.byref(raw), _UTF8, ord(_SEPARATOR) << 8)
        return [word.split(_SEPARATOR) for word in found.decode().split()]

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


def _load(library: str) -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(library)
    except OSError as error:  # a temporary folder mounted without execution
        fix = "set TMPDIR to a folder that programs may be loaded from"
        raise EnvironmentError_(f"cannot load a copy of espeak-ng: {error}", where=library, fix=fix) from error
    lib.espeak_Info.restype = ctypes.c_char_p
    lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return lib


def _unload(lib: ctypes.CDLL) -> None:
    if sys.platform != "win32":
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(lib._handle))


def _broken(what: str) -> EnvironmentError_:
    return EnvironmentError_(what, fix='pip install --force-reinstall "asr-ligru[demo]"')
