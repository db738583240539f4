"""Audio is read exactly or refused with a reason, whatever the file."""

from __future__ import annotations

import csv
import math
import os
import random
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_ligru.data import audio
from asr_ligru.errors import ConfigError, DataError, EnvironmentError_

RATE_HZ = 16000

# What the column `expected` of the fixtures' manifest allows.
MAY_READ = {"ok", "ok-or-clear-error", "ok-or-empty-or-error", "no-crash"}
MAY_FAIL = {
    "error",
    "short-or-error",
    "empty-or-error",
    "ok-or-clear-error",
    "ok-or-empty-or-error",
    "reject-or-sanitise",
    "needs-format",
    "no-crash",
}


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "corpora" / "audio_fixtures"


@pytest.fixture(scope="module")
def table(fixtures: Path) -> list[dict[str, str]]:
    with (fixtures / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture
def tone() -> np.ndarray:
    """Return one second of a tone and its overtone."""
    t = np.arange(RATE_HZ) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * 440 * t) + 0.25 * np.sin(2 * np.pi * 880 * t)).astype(np.float32)


def _read_or_fail(path: Path) -> tuple[torch.Tensor | None, str]:
    try:
        return audio.read(path, channel="0", max_seconds=60), ""
    except (DataError, EnvironmentError_) as error:
        return None, str(error)


@pytest.mark.parametrize("index", range(94))
def test_read_fixture_behaves_as_its_table_says(fixtures: Path, table: list[dict[str, str]], index: int) -> None:
    row = table[index]
    path = fixtures / row["path"]
    wav, failure = _read_or_fail(path)
    assert row["expected"] in (MAY_READ if wav is not None else MAY_FAIL), failure
    if wav is None:
        assert str(path) in failure
        return
    assert wav.dtype == torch.float32
    assert wav.dim() == 1
    assert bool(torch.isfinite(wav).all())
    assert float(wav.abs().max()) <= 1.0
    if row["frames"]:  # what libsndfile reads; without it PyAV did
        assert len(wav) == int(row["frames"])
        assert audio.probe(path).sample_rate_hz == int(row["rate"])
        assert audio.probe(path).channels == int(row["channels"])


def test_fixture_table_has_as_many_rows_as_are_tested(table: list[dict[str, str]]) -> None:
    assert len(table) == 94


@pytest.mark.parametrize(
    "name",
    [
        "pcm24.wav",
        "pcm32.wav",
        "float32.wav",
        "float64.wav",
        "wavex.wav",
        "rf64.wav",
        "wave64.w64",
        "bigendian_rifx.wav",
        "sun.au",
        "apple.aiff",
        "apple.caf",
        "sphere_be.sph",
        "sphere_le.sph",
        "flac16.flac",
        "flac24.flac",
        "flac_named.wav",
    ],
)
def test_read_lossless_format_equals_reference(fixtures: Path, name: str) -> None:
    reference = audio.read(fixtures / "generated" / "pcm16.wav")
    assert torch.equal(audio.read(fixtures / "generated" / name), reference)


def test_read_raw_of_both_byte_orders_equals_reference(fixtures: Path, tmp_path: Path) -> None:
    little = fixtures / "generated" / "headerless_16k_le.raw"
    big = tmp_path / "big.raw"
    big.write_bytes(np.frombuffer(little.read_bytes(), "<i2").astype(">i2").tobytes())
    reference = audio.read(fixtures / "generated" / "pcm16.wav")
    for path, order in ((little, "little"), (big, "big")):
        wav, found = audio.read_raw(path, RATE_HZ)
        assert found == order
        assert torch.equal(wav, reference)


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"abc", "odd number"), (b"RIFF....", "header")])
def test_read_raw_of_something_else_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        audio.read_raw(path, RATE_HZ)


def test_read_stretch_equals_slice_of_whole(tmp_path: Path, tone: np.ndarray) -> None:
    path = tmp_path / "x.flac"
    soundfile.write(path, tone, RATE_HZ)
    whole = audio.read(path)
    stretch = audio.read(path, offset_s=0.25, duration_s=0.5, sample_rate_hz=RATE_HZ)
    assert torch.equal(stretch, whole[4000:12000])
    assert torch.equal(audio.read(path, offset_s=0.9), whole[14400:])


@pytest.mark.parametrize(("offset_s", "duration_s"), [(0.0, 5.0), (1.5, None), (0.9, 0.2), (-1.0, None), (0.0, 0.0)])
def test_read_stretch_outside_of_file_is_refused(
    tmp_path: Path, tone: np.ndarray, offset_s: float, duration_s: float | None
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone, RATE_HZ)
    with pytest.raises(DataError):
        audio.read(path, offset_s=offset_s, duration_s=duration_s)


def test_read_of_a_hundred_random_stretches_is_exact_or_refused(tmp_path: Path, tone: np.ndarray) -> None:
    path, draw = tmp_path / "x.wav", random.Random(3)
    soundfile.write(path, tone, RATE_HZ, subtype="FLOAT")
    refused = 0
    for _ in range(100):
        offset_s, duration_s = draw.uniform(0.0, 1.0), draw.uniform(0.001, 1.0)
        start, count = round(offset_s * RATE_HZ), round(duration_s * RATE_HZ)
        if offset_s + duration_s > 1.01:  # a frame more than there is
            with pytest.raises(DataError, match="the file holds"):
                audio.read(path, offset_s=offset_s, duration_s=duration_s)
            refused += 1
        else:
            wav = audio.read(path, offset_s=offset_s, duration_s=duration_s).numpy()
            assert np.array_equal(wav, tone[start : start + count])
    assert 30 < refused < 70


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_read_stretch_not_a_number_is_refused(tmp_path: Path, tone: np.ndarray, value: float) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone, RATE_HZ)
    with pytest.raises(DataError, match="no stretch"):
        audio.read(path, offset_s=value)
    with pytest.raises(DataError, match="no stretch"):
        audio.read(path, duration_s=value)


def test_read_other_sample_rate_without_resample_names_both_and_the_fix(tmp_path: Path, tone: np.ndarray) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone, RATE_HZ)
    with pytest.raises(DataError) as caught:
        audio.read(path, sample_rate_hz=8000)
    assert "16000 Hz, expected 8000 Hz" in str(caught.value)
    assert "corpus.resample=true" in str(caught.value)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100])
def test_read_resampled_tone_equals_the_same_tone_sampled_there(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "x.wav"
    t = np.arange(RATE_HZ) / RATE_HZ
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * t), RATE_HZ, subtype="FLOAT")
    wav = audio.read(path, sample_rate_hz=rate_hz, resample=True).numpy()
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    inside = slice(rate_hz // 20, -rate_hz // 20)
    assert len(wav) == rate_hz
    assert np.abs(wav - expected)[inside].max() < 2e-3


def test_read_resampled_between_unrelated_rates_is_refused(tmp_path: Path, tone: np.ndarray) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone, 44101)
    with pytest.raises(DataError, match="common factor"):
        audio.read(path, sample_rate_hz=RATE_HZ, resample=True)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_read_several_channels_by_every_choice(tmp_path: Path, tone: np.ndarray, channels: int) -> None:
    path = tmp_path / "x.wav"
    every = np.stack([tone / (i + 1) for i in range(channels)], axis=1)
    soundfile.write(path, every, RATE_HZ, subtype="FLOAT")
    if channels == 1:
        assert np.array_equal(audio.read(path).numpy(), tone)
    else:
        with pytest.raises(DataError, match=rf"{channels} channels, expected 1"):
            audio.read(path)
    last = channels - 1
    assert np.array_equal(audio.read(path, channel=str(last)).numpy(), every[:, last])
    np.testing.assert_allclose(audio.read(path, channel="mix").numpy(), every.mean(axis=1), atol=1e-6)
    with pytest.raises(DataError, match=f"channel {channels} asked for"):
        audio.read(path, channel=str(channels))
    with pytest.raises(ConfigError, match="left"):
        audio.read(path, channel="left")


def test_read_longer_than_allowed_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "bomb.flac"
    soundfile.write(path, np.zeros(RATE_HZ, np.int16), RATE_HZ)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # STREAMINFO: total samples = almost 2**36, 49 days
    data[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert audio.probe(path).duration_s > 4e6
    with pytest.raises(DataError, match="at most 60 s"):
        audio.read(path, max_seconds=60)
    with pytest.raises(DataError):  # without a limit too: what is there is decoded in blocks, then it ends too early
        audio.read(path)


@pytest.mark.parametrize(
    "name",
    [
        "pcm16.wav",
        "wavex.wav",
        "rf64.wav",
        "wave64.w64",
        "bigendian_rifx.wav",
        "sun.au",
        "apple.aiff",
        "apple.caf",
        "sphere_be.sph",
        "sphere_ulaw.sph",
        "ima_adpcm.wav",
        "flac16.flac",
        "vorbis.ogg",
        "opus.opus",
        "mpeg_layer3.mp3",
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_read_truncated_file_is_refused_in_every_format(
    fixtures: Path, tmp_path: Path, name: str, share: float
) -> None:
    data = (fixtures / "generated" / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError):
        audio.read(path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_read_samples_not_finite_are_refused(tmp_path: Path, tone: np.ndarray, value: float) -> None:
    path = tmp_path / "x.wav"
    tone[100] = value
    soundfile.write(path, tone, RATE_HZ, subtype="FLOAT")
    with pytest.raises(DataError, match="1 samples are NaN or Inf"):
        audio.read(path)
    soundfile.write(path, np.stack([tone, -tone], axis=1), RATE_HZ, subtype="FLOAT")
    with pytest.raises(DataError, match="1 samples are NaN or Inf"):
        audio.read(path, channel="mix")


def test_read_float_samples_over_full_scale_are_limited(tmp_path: Path, tone: np.ndarray) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, 2 * tone, RATE_HZ, subtype="FLOAT")
    assert np.array_equal(audio.read(path).numpy(), (2 * tone).clip(-1, 1))


def test_read_integers_stored_as_float_are_refused(tmp_path: Path, tone: np.ndarray) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, 32768 * tone, RATE_HZ, subtype="FLOAT")
    with pytest.raises(DataError, match=r"expected samples in \[-1, 1\]"):
        audio.read(path)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _socket(path: Path) -> Path:
    os.mknod(path, stat.S_IFSOCK | 0o600)
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    "make",
    [
        _folder,
        _pipe,
        _loop,
        _socket,
        lambda path: path,
        lambda path: Path("/dev/zero"),
        lambda path: Path(f"{path}\0.wav"),
        lambda path: path / ("a" * 5000),
    ],
    ids=["folder", "pipe", "loop", "socket", "missing", "device", "nul", "long"],
)
def test_read_what_is_no_regular_file_is_refused(tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = make(tmp_path / "x.wav")
    with pytest.raises(DataError):
        audio.read(path)


def test_read_unknown_content_says_how_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git lfs pull"):
        audio.read(path)


def test_read_media_without_pyav_names_the_extra(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(EnvironmentError_, match=r"asr-ligru\[media\]"):
        audio.read(fixtures / "generated" / "aac.m4a")


def test_read_lossless_media_with_pyav_equals_reference(fixtures: Path) -> None:
    pytest.importorskip("av", reason="the media extra is not installed")
    reference = audio.read(fixtures / "generated" / "pcm16.wav")
    assert torch.equal(audio.read(fixtures / "generated" / "alac.m4a"), reference)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_write_then_read_returns_the_same_16_bit_samples(tmp_path: Path, tone: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    wav = torch.from_numpy(np.round(tone * 32767) / 32768)
    audio.write(path, wav, 8000)
    assert torch.equal(audio.read(path, sample_rate_hz=8000), wav)


def test_read_whole_an4_equals_soundfile(shared: Path) -> None:
    folder = shared / "corpora" / "an4" / "wav" / "an4test_clstk"
    paths = sorted(folder.glob("*/*.flac"))
    assert len(paths) == 130
    for path in paths:
        samples, rate_hz = soundfile.read(path, dtype="float32")
        assert rate_hz == RATE_HZ
        assert np.array_equal(audio.read(path, sample_rate_hz=RATE_HZ).numpy(), samples)
