from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asr_ligru.data import audio, sounds
from asr_ligru.data.sounds import Sounds
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.features.augment import generator

RATE_HZ = 8000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rain").mkdir()
    audio.write(tmp_path / "rain" / "1-a.wav", torch.arange(1, 4001) / 8000, RATE_HZ)
    audio.write(tmp_path / "2-b.flac", -torch.arange(1, 20001) / 40000, 2 * RATE_HZ)
    (tmp_path / "LICENCE.txt").write_text("free", encoding="utf-8")
    return tmp_path


def rng(n: int) -> np.random.Generator:
    return generator(1, n, "utt", "noise")


def test_sounds_are_read_at_the_rate_asked_for(folder: Path) -> None:
    found = Sounds(folder, RATE_HZ)
    assert len(found) == 2
    assert found.bad == []
    assert {len(found.whole(rng(n))) for n in range(20)} == {4000, 10000}


def test_sounds_glob_takes_files_by_name(folder: Path) -> None:
    assert {len(Sounds(folder, RATE_HZ, glob="1-*").whole(rng(n))) for n in range(9)} == {4000}


@pytest.mark.parametrize("kept", [0, 1 << 26])
def test_stretch_is_random_and_repeats_what_is_short(folder: Path, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "_KEPT_SAMPLES", kept)
    found = Sounds(folder, RATE_HZ, glob="1-*")
    wav = audio.read(folder / "rain" / "1-a.wav")
    short = [found.stretch(rng(n), 1000) for n in range(20)]
    starts = [int((wav == stretch[0]).nonzero()[0]) for stretch in short]
    assert len(set(starts)) > 15
    assert all(torch.equal(wav[start:][:1000], stretch) for start, stretch in zip(starts, short, strict=True))
    long = found.stretch(rng(1), 9000)
    assert torch.equal(long[:5000], long[4000:])
    assert torch.equal(long[:4000].sort().values, wav)
    assert torch.equal(found.stretch(rng(1), 9000), long)


def test_stretch_of_a_long_file_read_piece_by_piece_has_the_length_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "_KEPT_SAMPLES", 0)
    found = Sounds(folder, 7350, glob="2-*")
    assert all(len(found.stretch(rng(n), size)) == size for n in range(10) for size in (1, 777, 5000, 9187, 9188))


def test_stretch_avoids_silence_where_it_can(tmp_path: Path) -> None:
    wav = torch.full((40000,), 1e-7)
    wav[30000:] = 0.5
    audio.write(tmp_path / "bark.wav", wav, RATE_HZ)
    assert all(Sounds(tmp_path, RATE_HZ).stretch(rng(n), 15000).max() == 0.5 for n in range(50))


def test_sounds_bad_files_are_named_and_left_out(folder: Path) -> None:
    audio.write(folder / "silent.wav", torch.zeros(800), RATE_HZ)
    (folder / "broken.ogg").write_bytes(b"OggS" + bytes(100))
    (folder / "empty.wav").write_bytes(b"")
    found = Sounds(folder, RATE_HZ)
    assert len(found) == 2
    assert [(b.utt_id, b.stage) for b in found.bad] == [(n, "sound") for n in ("broken.ogg", "empty.wav", "silent.wav")]
    assert found.bad[2].reason == "nothing but silence"


def test_sounds_folder_without_any_is_an_error(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    with pytest.raises(ConfigError, match="no such folder"):
        Sounds(empty, RATE_HZ)
    empty.mkdir()
    with pytest.raises(DataError, match="no usable audio file"):
        Sounds(empty, RATE_HZ)
    audio.write(empty / "silent.wav", torch.zeros(800), RATE_HZ)
    with pytest.raises(DataError, match="nothing but silence"):
        Sounds(empty, RATE_HZ)
    with pytest.raises(DataError, match=r"'9-\*'"):
        Sounds(folder, RATE_HZ, glob="9-*")


def test_sounds_of_esc10_and_rooms_are_all_usable(shared: Path) -> None:
    noises = Sounds(shared / "corpora/noise_rir/ESC-10", 16000, glob="1-[12]*")
    rooms = Sounds(shared / "corpora/noise_rir/rir", 16000, channel="0")
    assert (noises.bad, rooms.bad, len(rooms)) == ([], [], 6)
    assert 0 < len(noises) < len(Sounds(shared / "corpora/noise_rir/ESC-10", 16000)) == 35
