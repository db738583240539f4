"""Containers are told by content, and the sizes in their headers are believed to be what they say."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from asr_ligru.data import containers


@pytest.mark.parametrize(
    ("container", "options", "frame_bytes"),
    [
        ("riff", {"format": "WAV", "subtype": "PCM_16"}, 2),
        ("riff", {"format": "WAV", "subtype": "PCM_24"}, 3),
        ("rifx", {"format": "WAV", "subtype": "PCM_16", "endian": "BIG"}, 2),
        ("rf64", {"format": "RF64", "subtype": "PCM_16"}, 2),
        ("au", {"format": "AU", "subtype": "FLOAT"}, 4),
        ("sphere", {"format": "NIST", "subtype": "PCM_16"}, 2),
        ("sphere", {"format": "NIST", "subtype": "ULAW"}, 1),
    ],
)
def test_extent_of_complete_file_is_its_audio(container: str, options: dict[str, str], frame_bytes: int) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(1000), 8000, **options)
    data = file.getvalue()
    assert containers.identify(data) == container
    assert containers.extent(file, container, len(data)) == (1000 * frame_bytes, 1000 * frame_bytes)
    assert containers.extent(file, container, len(data) - 10) == (1000 * frame_bytes, 1000 * frame_bytes - 10)


@pytest.mark.parametrize(("container", "format_"), [("flac", "FLAC"), ("ogg", "OGG"), ("mp3", "MP3"), ("caf", "CAF")])
def test_identify_other_formats_by_content(container: str, format_: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000), 8000, format=format_)
    assert containers.identify(file.getvalue()[: containers.HEAD_BYTES]) == container


@pytest.mark.parametrize("head", [b"", b"\xff", b"hello, world", b"\xff\xff\xff\xff", b"\x00" * 100])
def test_identify_something_else_is_nothing(head: bytes) -> None:
    assert containers.identify(head) == ""


@pytest.mark.parametrize("cut", range(60))
def test_extent_of_cut_file_is_unknown_or_says_that_it_is_cut(cut: int) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(1000), 8000, format="WAV")
    found = containers.extent(io.BytesIO(file.getvalue()[:cut]), "riff", cut)
    assert found is None if cut < 44 else found == (2000, cut - 44)


@pytest.mark.parametrize(
    ("declared", "unknown"),
    [(0xFFFFFFFF, True), (0xFFFFFFFF - 36, True), (0x7FFFFFFF - 36, True), (0x7FFF0000, False), (0xC0000000, False)],
)
def test_extent_of_a_size_that_pipes_leave_is_unknown_and_of_a_lost_gigabyte_is_not(
    declared: int, unknown: bool
) -> None:
    data = b"RIFF\0\0\0\0WAVE" + b"data" + declared.to_bytes(4, "little") + bytes(10)
    assert containers.extent(io.BytesIO(data), "riff", len(data)) == (None if unknown else (declared, 10))
