"""Files that claim, or unpack to, far more audio than there is room for: refused or read, soon and in little memory."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_ligru.data import audio, prepare
from asr_ligru.data.validate import validate_corpus
from asr_ligru.errors import DataError

RATE_HZ = 16000
MAX_SECONDS = 40.0
MAX_MIB, MAX_CPU_S = 100.0, 1.0
HUGE = {4: b"\xc0\0\0\0", 8: b"\x3f" + b"\xff" * 7}
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_mib(what: str) -> float:
    """Return "VmRSS", what this process holds now, or "VmHWM", the most since it was asked to forget."""
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


@contextmanager
def soon_and_small() -> Iterator[None]:
    """Let the block take a second of the processor and 100 MiB more than there are now."""
    if not RESET.exists():
        pytest.skip("needs Linux")
    RESET.write_text("5", encoding="utf-8")
    before, started = resident_mib("VmRSS"), time.process_time()
    yield
    assert time.process_time() - started < MAX_CPU_S
    assert resident_mib("VmHWM") - before < MAX_MIB


def claiming(
    kind: str, mark: bytes, offset: int, size: int, little: bool, subtype: str = "PCM_16"
) -> Callable[..., None]:
    """Return what writes half a second whose header says, behind a mark, that it is endless."""

    def write(path: Path) -> None:
        soundfile.write(path, np.zeros(RATE_HZ // 2), RATE_HZ, format=kind, subtype=subtype)
        data = bytearray(path.read_bytes())
        at = data.index(mark) + len(mark) + offset
        data[at : at + size] = HUGE[size][::-1] if little else HUGE[size]
        path.write_bytes(data)

    return write


def nist(path: Path) -> None:
    soundfile.write(path, np.zeros(RATE_HZ // 2), RATE_HZ, format="NIST", subtype="PCM_16")
    path.write_bytes(path.read_bytes().replace(b"sample_count -i 8000", b"sample_count -i 9999999999", 1))


def flac_header(path: Path) -> None:
    soundfile.write(path, np.zeros(RATE_HZ, np.int16), RATE_HZ, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # STREAMINFO: total samples = almost 2**36
    data[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(data)


@pytest.fixture(scope="module")
def hour_of_zeros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zeros") / "x.flac"
    soundfile.write(path, np.zeros(3600 * RATE_HZ, np.int16), RATE_HZ)
    assert path.stat().st_size < 1 << 20
    return path


def ogg(path: Path) -> None:
    """Write half a second whose last page says that it ends in thousands of years; its checksum is made to fit."""
    soundfile.write(path, np.zeros(RATE_HZ // 2), RATE_HZ, format="OGG", subtype="VORBIS")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"OggS")
    data[at + 6 : at + 14] = struct.pack("<q", 1 << 60)
    data[at + 22 : at + 26] = bytes(4)
    data[at + 22 : at + 26] = struct.pack("<I", ogg_sum(data[at:]))
    path.write_bytes(data)


def ogg_sum(page: bytearray) -> int:
    found = 0
    for byte in page:
        found ^= byte << 24
        for _ in range(8):
            found = (found << 1) ^ (0x104C11DB7 if found & 0x80000000 else 0)
    return found


CLAIMS: dict[str, Callable[[Path], None]] = {
    "WAV of 3 GB": claiming("WAV", b"data", 0, 4, True),
    "WAV float of 3 GB": claiming("WAV", b"data", 0, 4, True, "FLOAT"),
    "RF64 of an exabyte": claiming("RF64", b"ds64", 12, 8, True),
    "AIFF of 3 GB": claiming("AIFF", b"FORM", 0, 4, False),
    "AU of 3 GB": claiming("AU", b".snd", 4, 4, False),
    "W64 of an exabyte": claiming("W64", b"riff", 12, 8, True),
    "CAF of an exabyte": claiming("CAF", b"data", 0, 8, False),
    "NIST of ten milliard samples": nist,
    "FLAC of 49 days": flac_header,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_of_endless_audio_is_refused_soon_in_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    CLAIMS[name](path)
    with soon_and_small(), pytest.raises(DataError) as caught:
        audio.read(path, max_seconds=MAX_SECONDS)
    assert caught.value.where == str(path)


def test_ogg_whose_last_page_lies_has_what_is_there(tmp_path: Path) -> None:
    ogg(tmp_path / "x")
    with soon_and_small():
        assert abs(len(audio.read(tmp_path / "x", max_seconds=MAX_SECONDS)) - RATE_HZ // 2) <= 64


def test_hour_of_zeros_is_refused_in_training_and_measured_in_little_memory(hour_of_zeros: Path) -> None:
    with soon_and_small(), pytest.raises(DataError, match="at most 40 s"):
        audio.read(hour_of_zeros, max_seconds=MAX_SECONDS)
    with soon_and_small():
        assert prepare._measure(hour_of_zeros) == 3600.0


def test_hour_of_zeros_is_validated_in_little_memory(hour_of_zeros: Path, tmp_path: Path) -> None:
    line = f'{{"id": "a", "audio_filepath": "{hour_of_zeros}", "duration": 3600, "text": "A B"}}\n'
    (tmp_path / "train.jsonl").write_text(line, encoding="utf-8")
    with soon_and_small():
        report = validate_corpus(tmp_path, max_seconds=MAX_SECONDS)
    assert {kind for kind, count in report.counts.items() if count} == {"too long"}


def test_many_channels_take_no_more_memory_than_the_one_that_is_read(tmp_path: Path) -> None:
    path, seconds, channels = tmp_path / "x.flac", 20, 8
    with soundfile.SoundFile(path, "w", 192_000, channels) as file:
        for _ in range(seconds):
            file.write(np.zeros((192_000, channels), np.int16))
    with soon_and_small():
        assert len(audio.read(path, channel="mix")) == seconds * 192_000
    with soon_and_small(), pytest.raises(DataError, match="8 channels, expected 1"):
        audio.read(path)
