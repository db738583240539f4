"""Reading in blocks gives what reading as a whole gives, from files, streams and headerless samples."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_ligru.data import audio, audio_blocks, audio_file
from asr_ligru.data.audio_blocks import Source, read_blocks
from asr_ligru.errors import ConfigError, DataError, EnvironmentError_

RATE_HZ = 16000


@pytest.fixture
def fixtures(shared: Path) -> Path:
    return shared / "corpora" / "audio_fixtures" / "generated"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_file, "_BLOCK_VALUES", 5000)
    monkeypatch.setattr(audio_blocks, "_BLOCK_S", 0.2)
    monkeypatch.setattr(audio_blocks, "_RAW_BYTES", 1001)


def read(source: Source, rate_hz: int = RATE_HZ, **settings: object) -> torch.Tensor:
    return torch.cat(list(read_blocks(source, sample_rate_hz=rate_hz, **settings)), dim=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["pcm16.wav", "flac24.flac", "opus.opus", "mpeg_layer3.mp3", "sphere_ulaw.sph", "rate_44100.flac", "rate_8000.flac",
     "stereo_right_half.wav", "aac.m4a", "opus.webm"],
)  # fmt: skip
def test_read_blocks_joined_equal_the_whole(fixtures: Path, small_blocks: None, name: str) -> None:
    whole = audio.read(fixtures / name, sample_rate_hz=RATE_HZ, resample=True, channel="mix")
    parts = list(read_blocks(fixtures / name, sample_rate_hz=RATE_HZ))
    assert len(parts) > 5
    torch.testing.assert_close(torch.cat(parts, dim=1)[0], whole, atol=1e-6, rtol=0.0)  # sums in another order


@pytest.mark.parametrize("name", ["pcm16.wav", "aac.m4a", "headerless_16k_le.raw"])
def test_read_blocks_of_a_stretch_equals_a_slice(fixtures: Path, small_blocks: None, name: str) -> None:
    whole = read(fixtures / name, raw_rate_hz=RATE_HZ)
    part = read(fixtures / name, raw_rate_hz=RATE_HZ, offset_s=0.75, duration_s=1.5)
    assert torch.equal(part, whole[:, 12000:36000])
    with pytest.raises(DataError):
        read(fixtures / name, raw_rate_hz=RATE_HZ, offset_s=1.0, duration_s=9.0)
    with pytest.raises(DataError):
        read(fixtures / name, raw_rate_hz=RATE_HZ, offset_s=9.0)


def test_read_blocks_of_a_stream_equals_the_file(fixtures: Path) -> None:
    for name in ("pcm16.wav", "flac16.flac", "alac.m4a"):
        stream = io.BytesIO((fixtures / name).read_bytes())
        assert torch.equal(read(stream), read(fixtures / "pcm16.wav"))


def test_read_blocks_headerless_samples_need_a_rate_and_files_with_a_header_ignore_it(
    fixtures: Path, small_blocks: None
) -> None:
    reference = read(fixtures / "pcm16.wav")
    raw = fixtures / "headerless_16k_le.raw"
    assert torch.equal(read(raw, raw_rate_hz=RATE_HZ), reference)
    assert torch.equal(read(io.BytesIO(raw.read_bytes()), raw_rate_hz=RATE_HZ), reference)
    assert torch.equal(read(fixtures / "flac16.flac", raw_rate_hz=8000), reference)
    assert torch.equal(read(fixtures / "mpeg_layer3.mp3", raw_rate_hz=8000), read(fixtures / "mpeg_layer3.mp3"))
    with pytest.raises(DataError, match="not an audio file"):
        read(raw)
    with pytest.raises(DataError, match="odd number of bytes"):
        read(io.BytesIO(raw.read_bytes()[:-1]), raw_rate_hz=RATE_HZ)
    with pytest.raises(DataError, match="no samples"):
        read(io.BytesIO(b""), raw_rate_hz=RATE_HZ)


def test_read_blocks_channels_are_split_picked_and_mixed(tmp_path: Path) -> None:
    both = np.stack([np.linspace(0, 0.5, 8000), np.linspace(-0.25, 0.25, 8000)], axis=1).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", both, RATE_HZ, subtype="FLOAT")
    assert np.array_equal(read(tmp_path / "x.wav", channel="split").numpy(), both.T)
    assert np.array_equal(read(tmp_path / "x.wav", channel="1").numpy(), both.T[1:])
    np.testing.assert_allclose(read(tmp_path / "x.wav").numpy()[0], both.mean(axis=1), atol=1e-7)
    with pytest.raises(DataError, match="channel 2 asked for, it has 2"):
        read(tmp_path / "x.wav", channel="2")
    with pytest.raises(ConfigError, match="left"):
        read(tmp_path / "x.wav", channel="left")


def test_read_blocks_of_a_damaged_file_yields_what_is_sound_first(fixtures: Path, small_blocks: None) -> None:
    blocks = read_blocks(fixtures.parent / "malformed" / "bitflips.flac", sample_rate_hz=RATE_HZ)
    assert torch.equal(next(blocks)[:, :3000], read(fixtures / "pcm16.wav")[:, :3000])
    with pytest.raises(DataError):
        list(blocks)


def test_read_blocks_without_pyav_names_the_extra(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(EnvironmentError_, match=r"asr-ligru\[media\]"):
        read(fixtures / "aac.m4a")


def test_read_blocks_of_what_claims_to_last_weeks_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "bomb.flac", np.zeros(RATE_HZ, np.int16), RATE_HZ)
    data = bytearray((tmp_path / "bomb.flac").read_bytes())
    data[21] |= 0x0F  # STREAMINFO: total samples = almost 2**36, 49 days
    data[22:26] = b"\xff\xff\xff\xff"
    (tmp_path / "bomb.flac").write_bytes(data)
    with pytest.raises(DataError, match="claims 50 days"):
        read(tmp_path / "bomb.flac")
