"""What the first bytes of an audio file say: which container it is, and how much audio it ought to hold.

libsndfile quietly shortens a truncated file to what is there. The sizes that the headers of uncompressed
containers declare are therefore read here and compared with the size of the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

HEAD_BYTES = 1024
_UNKNOWN_SIZES = (0x7FFFFFFF, 0xFFFFFFFF)  # encoders that write to a pipe leave such a size, less a header's
_MAX_HEADER_BYTES = 0x1000
_UNKNOWN_LONG_SIZE = 1 << 62  # or, in 64 bits, anything from here on
_MAX_CHUNKS = 1000
_OGG_TAIL_BYTES = 1 << 17  # longer than one Ogg page, at most 65307 bytes


class Extent(NamedTuple):
    """Bytes of audio that a header declares, and bytes that the file holds."""

    declared: int
    present: int


def identify(head: bytes) -> str:
    """Return the name of the container that starts with ``head``, "" when it is none we read."""
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return name
    return _mpeg(head)


def _mpeg(head: bytes) -> str:
    """Recognise a frame header of MPEG audio, which has twelve fixed bits only."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return ""
    if head[1] & 0xF6 == 0xF0:
        return "adts"
    impossible = head[1] & 0x18 == 0x08 or head[1] & 0x06 == 0 or head[2] & 0xF0 in (0, 0xF0) or head[2] & 0x0C == 0x0C
    return "" if impossible else "mp3"


def extent(file: BinaryIO, container: str, size: int) -> Extent | None:
    """Compare what the header of an open file declares with what is there.

    Args:
        file: open for reading, seekable.
        container: as ``identify`` named it.
        size: bytes in the file.

    Returns:
        None when the container declares no size (or left it open, as encoders writing to a pipe do).
    """
    measure = _MEASURES.get(container)
    if measure is None:
        return None
    try:
        return measure(file, size)
    except struct.error:  # the header itself is cut: opening it will fail and say so
        return None


_MAGIC = (
    (0, b"RIFF", "riff"),
    (0, b"RIFX", "rifx"),
    (0, b"RF64", "rf64"),
    (0, b"riff\x2e\x91\xcf\x11", "w64"),
    (0, b"FORM", "aiff"),
    (0, b".snd", "au"),
    (0, b"caff", "caf"),
    (0, b"NIST_1A", "sphere"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1a\x45\xdf\xa3", "webm"),
)


def _riff(file: BinaryIO, size: int, order: str = "<") -> Extent | None:
    """Walk the chunks of a RIFF, RIFX or RF64 file up to ``data``."""
    position, long_size = 12, 0
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        name, length = struct.unpack(order + "4sI", file.read(8))
        if name == b"ds64":
            long_size = struct.unpack(order + "8xQ", file.read(16))[0]
        if name == b"data":
            declared = long_size if length == 0xFFFFFFFF and long_size else length
            return _known(declared, size - position - 8)
        position += 8 + length + length % 2
    return None


def _rifx(file: BinaryIO, size: int) -> Extent | None:
    return _riff(file, size, ">")


def _aiff(file: BinaryIO, size: int) -> Extent | None:
    file.seek(4)
    return _known(struct.unpack(">I", file.read(4))[0], size - 8)


def _w64(file: BinaryIO, size: int) -> Extent | None:
    file.seek(16)
    return _known(struct.unpack("<Q", file.read(8))[0], size)


def _au(file: BinaryIO, size: int) -> Extent | None:
    file.seek(4)
    offset, declared = struct.unpack(">II", file.read(8))
    return _known(declared, size - offset)


def _sphere(file: BinaryIO, size: int) -> Extent | None:
    """Read ``sample_count``, ``channel_count`` and ``sample_n_bytes`` of a NIST header."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    header_bytes = re.match(rb"NIST_1A\n\s*(\d{1,9})\n", head)
    fields = {name: int(value) for name, value in re.findall(rb"(?m)^(\w+) -i (\d{1,15})\s*$", head)}
    if header_bytes is None or b"sample_count" not in fields:
        return None
    width = 1 if re.search(rb"(?m)^sample_coding -s\d+ (?:a|u|mu-?)law", head) else fields.get(b"sample_n_bytes", 2)
    width *= fields.get(b"channel_count", 1)
    return Extent(fields[b"sample_count"] * width, size - int(header_bytes[1]))


def _ogg(file: BinaryIO, size: int) -> Extent | None:
    """Look for the end-of-stream flag, which a complete Ogg stream has on its last page."""
    file.seek(max(0, size - _OGG_TAIL_BYTES))
    tail = file.read(_OGG_TAIL_BYTES)
    last = tail.rfind(b"OggS")
    flags, segments = struct.unpack("5xB20xB", tail[last : last + 27])
    table = tail[last + 27 : last + 27 + segments]
    missing = segments - len(table) + sum(table) - max(0, len(tail) - last - 27 - segments)
    ended = flags & 4 and missing <= 0
    return None if ended else Extent(size + max(1, missing), size)


def _known(declared: int, present: int) -> Extent | None:
    unknown = any(0 <= size - declared < _MAX_HEADER_BYTES for size in _UNKNOWN_SIZES)
    return None if (unknown or declared >= _UNKNOWN_LONG_SIZE) and declared > present else Extent(declared, present)


_MEASURES: dict[str, Callable[[BinaryIO, int], Extent | None]] = {
    "riff": _riff,
    "rifx": _rifx,
    "rf64": _riff,
    "aiff": _aiff,
    "w64": _w64,
    "au": _au,
    "sphere": _sphere,
    "ogg": _ogg,
}
