"""Kaldi's archives: features, alignments, transforms and statistics, read and written.

Kaldi's own readers start a program wherever a name ends in ``|``, and kaldiio, which decodes for us, also unpickles
objects and opens audio that an archive holds. Here a name with a pipe is refused, nothing but a regular file is ever
opened, and kaldiio is never given a name: it gets the bytes of one Kaldi object, whose header was checked before.
"""

from __future__ import annotations

import gzip
import io
import itertools
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_ligru.data.kaldi_names import check_key, check_name, read_script, split_specifier
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.safety import printable
from asr_ligru.safety.files import atomic_file, write_errors

Array = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int32]

_MAX_VALUES = 1 << 24  # of one object: 70 minutes of 40 features
_MAX_TEXT_ROWS = 1 << 20
_MAX_KEY_BYTES = 4096
_MAX_LINE_BYTES = 1 << 23
_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_INTEGERS = b"\0B\4"
_SIZED_INTEGER = np.dtype([("size", "i1"), ("value", "<i4")])
_INT32 = np.iinfo(np.int32)


class _Layout(NamedTuple):
    """Bytes of a binary object: for each value, for each column, and whether it has columns."""

    per_value: int
    per_column: int = 0
    is_matrix: bool = True


_LAYOUTS = {
    b"FM": _Layout(4),
    b"DM": _Layout(8),
    b"FV": _Layout(4, is_matrix=False),
    b"DV": _Layout(8, is_matrix=False),
    b"CM": _Layout(1, per_column=8),
    b"CM2": _Layout(2),
    b"CM3": _Layout(1),
}


def read_table(source: str | Path) -> Iterator[tuple[str, Array]]:
    """Yield what a Kaldi table holds, entry by entry.

    Args:
        source: path of an archive (also with gzip) or of a script file (``*.scp``), or either with ``ark:`` or
            ``scp:`` before it. Relative names in a script begin at the current folder, as in Kaldi; where there is
            no such file, at the script's folder or one of the two above it.

    Yields:
        (key, array): (T, F) or (F,) float32 or float64, or (T,) int32. Compressed matrices come as float32, numbers
        of text archives as float64.

    Raises:
        DataError: a command instead of a file, no regular file, a malformed, cut or repeated entry, a value that is
            not finite, or an object of more than 2**24 values; the message names file and key, or line.
        EnvironmentError_: kaldiio is not installed.
    """
    _kaldiio()
    kind, name = split_specifier(str(source))
    entries = _read_script(Path(name)) if kind == "scp" else _read_archive(Path(name))
    seen: set[str] = set()
    for key, array in entries:
        if key in seen:
            fix = "leave one of the two out"
            raise DataError(f"the key {printable(key)!r} comes twice", where=printable(name), fix=fix)
        seen.add(key)
        yield key, array


def read_feats(source: str | Path) -> Iterator[tuple[str, Tensor]]:
    """Yield (utterance, (T, F) float32 features) of a table; see ``read_table``.

    Raises:
        DataError: as ``read_table``, or an entry that is no matrix of at least one frame.
    """
    for key, array in read_table(source):
        yield key, _tensor(array, source, key, "a matrix of features", array.ndim == 2).float()


def read_alignments(source: str | Path) -> Iterator[tuple[str, Tensor]]:
    """Yield (utterance, (T,) int64 transition ids or states) of a table such as ``ali.1.gz``; see ``read_table``.

    Raises:
        DataError: as ``read_table``, or an entry that is no vector of at least one integer.
    """
    for key, array in read_table(source):
        yield key, _tensor(array, source, key, "a vector of integers", array.dtype == np.int32).long()


def read_transforms(source: str | Path) -> dict[str, Tensor]:
    """Return (D, D + 1) float64 transforms W = [A b] by speaker or utterance, as in ``trans.1``; see ``read_table``.

    Raises:
        DataError: as ``read_table``, or an entry of another shape.
    """
    return {
        key: _tensor(array, source, key, "a transform (D, D + 1)", array.shape[1:] == (len(array) + 1,)).double()
        for key, array in read_table(source)
    }


def read_cmvn(source: str | Path) -> dict[str, Tensor]:
    """Return (2, F + 1) float64 statistics by speaker, in the layout of ``features.cmvn.CmvnStats.table``.

    Raises:
        DataError: as ``read_table``, or an entry of another shape or without frames.
    """
    return {
        key: _tensor(array, source, key, "statistics (2, F + 1) of at least one frame", _is_cmvn(array)).double()
        for key, array in read_table(source)
    }


def write_table(
    ark: Path, arrays: Iterable[tuple[str, Tensor]], *, scp: Path | None = None, compress: bool = False
) -> int:
    """Write a binary archive and the script file that points into it, each as a whole or not at all.

    Args:
        ark: the archive.
        arrays: (key, tensor): a matrix or vector of float32 or float64, or a vector of integers. Kaldi's tools want
            the keys sorted as bytes; the archive has them in the order given.
        scp: the script file, sorted; it names the archive by its absolute path.
        compress: matrices take a quarter of the space, as with ``--compress=true``.

    Returns:
        the number of entries.

    Raises:
        DataError: a key that is empty, repeated or has blanks, a value that is not finite, another shape or type, or
            a path that a script cannot name.
        EnvironmentError_: a file cannot be written, or kaldiio is not installed.
    """
    kaldiio = _kaldiio()
    name = str(ark.resolve())
    if scp:
        check_name(name)
    lines: dict[str, str] = {}
    with write_errors(ark.parent, 0):
        if scp:
            scp.unlink(missing_ok=True)  # its positions would be wrong as soon as the archive is replaced
        with atomic_file(ark) as stream:
            for key, tensor in arrays:
                check_key(key, name)
                if key in lines:
                    what = f"the key {printable(key)!r} comes twice"
                    raise DataError(what, where=printable(name), fix="rename the utterance")
                lines[key] = f"{key} {name}:{stream.tell() + len(key.encode()) + 1}\n"
                array = _writable(tensor, f"{name}, key {key}")
                method = 1 if compress and array.ndim == 2 else None  # 1: Kaldi chooses by the shape
                kaldiio.save_ark(stream, {key: array}, compression_method=method)
        if scp:
            with atomic_file(scp) as stream:
                stream.writelines(lines[key].encode() for key in sorted(lines))
    return len(lines)


def _kaldiio() -> Any:
    try:
        import kaldiio
    except ImportError as error:
        what = "Kaldi archives need kaldiio, which is not installed"
        raise EnvironmentError_(what, fix='pip install "asr-ligru[kaldi]"') from error
    return kaldiio


def _tensor(array: Array, source: str | Path, key: str, expected: str, fits: bool) -> Tensor:
    if not fits or not array.size:
        what = f"expected {expected}, got shape {array.shape} of {array.dtype}"
        raise DataError(what, where=printable(f"{source}, key {key}"), fix="give the table of that kind")
    return torch.from_numpy(array)


def _is_cmvn(array: Array) -> bool:
    return array.ndim == 2 and array.shape[0] == 2 and array.shape[1] > 1 and bool(array[0, -1] > 0)


def _writable(tensor: Tensor, where: str) -> Array:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    is_float = array.dtype in (np.float32, np.float64)
    if not array.size or array.ndim > 1 + is_float or not (is_float or array.dtype.kind == "i"):
        what = f"expected a matrix or vector of float32 or float64, or a vector of integers, got {tuple(tensor.shape)}"
        raise DataError(f"{what} of {array.dtype}", where=printable(where), fix="convert it, or leave it out")
    fits = np.isfinite(array).all() if is_float else np.all((array >= _INT32.min) & (array <= _INT32.max))
    if not fits:
        what = "a value is not finite, or beyond 32 bits"
        raise DataError(what, where=printable(where), fix="look at the audio of this utterance, or leave it out")
    return array if is_float else array.astype(np.int32)


def _read_archive(path: Path) -> Iterator[tuple[str, Array]]:
    with _opened(path) as stream:
        while True:
            with _faults(f"{path}, after byte {stream.tell()}"):
                key = _key(stream)
            if not key:
                return
            with _faults(f"{path}, key {key}"):
                array = _value(stream)
            yield key, array


def _read_script(path: Path) -> Iterator[tuple[str, Array]]:
    for where, key, location in read_script(path):
        with _opened(location.path, where) as stream, _faults(f"{where}: {location.path}"):
            _seek(stream, location.offset)
            array = location.cut(_value(stream))
        yield key, array


@contextmanager
def _opened(path: Path, where: str = "") -> Iterator[BinaryIO]:
    """Open a regular file, decompressing gzip."""
    place = printable(f"{where}: {path}" if where else str(path))
    try:
        if not path.is_file():
            what = "no such file" if not path.exists() else "not a regular file"
            raise DataError(what, where=place, fix="start where Kaldi ran, or correct the name")
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"cannot read: {printable(str(error))}", where=place, fix="correct the name") from error


@contextmanager
def _faults(where: str) -> Iterator[None]:
    """Turn what parsing raises into a ``DataError`` that says where."""
    try:
        yield
    except (ValueError, OverflowError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = f"malformed Kaldi archive: {printable(str(error))}"
        raise DataError(what, where=printable(where), fix="copy or make the archive again") from error


def _seek(stream: BinaryIO, offset: int) -> None:
    if offset and isinstance(stream, gzip.GzipFile):
        raise ValueError("a position in a compressed file")
    if stream.seek(0, io.SEEK_END if offset else io.SEEK_SET) < offset:
        raise ValueError(f"position {offset} lies behind the end of the file")
    stream.seek(offset)


def _key(stream: BinaryIO) -> str:
    """Read up to the blank after a key; "" at the end of the file."""
    key = bytearray()
    for _ in range(_MAX_KEY_BYTES):
        byte = stream.read(1)
        if not byte or (byte.isspace() and key):
            break
        key += byte.strip()
    else:
        raise ValueError(f"no key within {_MAX_KEY_BYTES} bytes")
    text = key.decode()
    if key and (not text.isprintable() or byte == b"\n" or not byte):
        raise ValueError(f"expected a key, a blank and an object, got {text[:40]!r}")
    return text


def _value(stream: BinaryIO) -> Array:
    first = stream.read(1)
    if first == b"\0":
        array = _decoded(_binary_object(stream))
    elif first:
        array = _text_object(stream, first)
    else:
        raise ValueError("the file ends before the object")
    if array.dtype != np.int32 and not np.isfinite(array).all():
        raise ValueError("values that are not finite")
    return array


def _decoded(raw: bytes) -> Array:
    """Decode the bytes of one object of a known type and the right length; kaldiio takes integers one by one."""
    if raw.startswith(_INTEGERS):
        return np.frombuffer(raw[7:], _SIZED_INTEGER)["value"].astype(np.int32)
    with np.errstate(all="ignore"):  # numbers of a damaged header overflow; the result is looked at
        [(_, array)] = _kaldiio().load_ark(io.BytesIO(b"_ " + raw))
    result: Array = np.array(array)  # of its own: kaldiio's is read-only
    return result


def _binary_object(stream: BinaryIO) -> bytes:
    """Return the bytes of one binary object: a header that makes sense, and as many values as it says."""
    head = b"\0" + _exactly(stream, 2)
    if head == _INTEGERS:
        count = _exactly(stream, 4)
        body = _exactly(stream, 5 * _size(*struct.unpack("<i", count)))
        if body[::5].strip(b"\4"):
            raise ValueError("integers of other than four bytes")
        return head + count + body
    while not head.endswith(b" ") and len(head) <= 6:
        head += _exactly(stream, 1)
    layout = _LAYOUTS.get(head[2:-1])
    if layout is None:
        raise ValueError(f"expected a matrix, a vector or integers, got an object of type {head[1:-1][:8]!r}")
    if head.startswith(b"\0BCM"):
        sizes = _exactly(stream, 16)
        rows, columns = struct.unpack("<8xii", sizes)
    else:
        sizes = _exactly(stream, 10 if layout.is_matrix else 5)
        if sizes[::5].strip(b"\4"):
            raise ValueError("a size of other than four bytes")
        rows, columns = struct.unpack("<xixi", sizes) if layout.is_matrix else (*struct.unpack("<xi", sizes), 1)
    values = _size(rows, columns)
    return head + sizes + _exactly(stream, values * layout.per_value + columns * layout.per_column)


def _size(rows: int, columns: int = 1) -> int:
    """Return the number of values of a shape, if it can be one."""
    empty = rows == 0 and columns in (0, 1)
    if not empty and not (rows > 0 and columns > 0 and rows * columns <= _MAX_VALUES):
        raise ValueError(f"a header that declares {rows} x {columns} values, expected at most {_MAX_VALUES}")
    return rows * columns


def _exactly(stream: BinaryIO, count: int) -> bytes:
    """Read ``count`` bytes, in blocks, so that a header that lies costs no memory."""
    blocks, missing = [], count
    while missing and (block := stream.read(min(missing, _BLOCK_BYTES))):
        blocks.append(block)
        missing -= len(block)
    if missing:
        raise ValueError(f"truncated: {count} bytes expected, {count - missing} are there")
    return b"".join(blocks)


def _text_object(stream: BinaryIO, first: bytes) -> Array:
    """Read what Kaldi writes with ``ark,t``; kaldiio takes a matrix whose first number is 1 for integers."""
    line = (first + (_line(stream) if first != b"\n" else b"")).strip()
    if not line.startswith(b"["):
        return _integers(line)
    rows: list[NDArray[np.float64]] = []
    in_rows, line, count = line == b"[", line[1:], 0
    for number in itertools.count():
        ends = line.endswith(b"]")
        numbers = line.removesuffix(b"]").split()
        count += len(numbers)
        if count > _MAX_VALUES or number > _MAX_TEXT_ROWS or b"_" in line:
            raise ValueError(f"not a number, or more than {_MAX_VALUES} of them or {_MAX_TEXT_ROWS} rows")
        if numbers:
            rows.append(np.array(numbers, dtype=np.float64))
        elif number and not ends:
            raise ValueError("a row without numbers")
        if ends:
            break
        line = _line(stream).strip()
    if len({len(row) for row in rows}) > 1 or (len(rows) > 1 and not in_rows):
        raise ValueError("rows of different lengths")
    return np.stack(rows) if in_rows and rows else np.concatenate([np.empty(0), *rows])


def _integers(line: bytes) -> NDArray[np.int32]:
    numbers = line.split()
    if not all(re.fullmatch(rb"-?[0-9]{1,10}", number) for number in numbers):
        raise ValueError(f"expected integers or a matrix in brackets, got {line[:40]!r}")
    return np.array([int(number) for number in numbers], dtype=np.int32)  # OverflowError beyond 32 bits


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline(_MAX_LINE_BYTES + 1)
    if not line or len(line) > _MAX_LINE_BYTES:
        raise ValueError("no closing bracket" if not line else f"a line of more than {_MAX_LINE_BYTES} bytes")
    return line
