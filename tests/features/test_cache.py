from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

from asr_ligru.config import FeaturesConfig
from asr_ligru.errors import DataError
from asr_ligru.features.cache import FeatureCache, cache_key
from asr_ligru.features.extract import FeatureExtractor

KEY = "ab" + 62 * "0"


def never() -> NoReturn:
    raise AssertionError("computed although it was kept")


def raw(seed: int = 1) -> Tensor:
    wav = 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(seed))
    return FeatureExtractor(FeaturesConfig())(wav)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_cache_kept_features_are_bitwise_the_computed_ones(tmp_path: Path) -> None:
    feats = raw()
    assert FeatureCache(tmp_path).get_or_compute(KEY, lambda: feats) is feats
    kept = FeatureCache(tmp_path).get_or_compute(KEY, never)
    assert torch.equal(kept.view(torch.int32), feats.view(torch.int32))
    kept += 1  # a copy of one's own
    assert torch.equal(FeatureCache(tmp_path).get_or_compute(KEY, never), feats)


def test_cache_failed_computation_keeps_nothing(tmp_path: Path) -> None:
    def fail() -> NoReturn:
        raise DataError("bad audio")

    with pytest.raises(DataError, match="bad audio"):
        FeatureCache(tmp_path).get_or_compute(KEY, fail)
    assert files(tmp_path) == []


def flip(position: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:position] + bytes([data[position] ^ 1]) + data[position:][1:]


@pytest.mark.parametrize(
    "damage",
    [
        flip(0),
        flip(9),
        flip(200),
        flip(-1),
        *(lambda data, n=n: data[:n] for n in (0, 1, 4, 128, -1)),
        lambda _: bytes(4),
    ],
)
def test_cache_damaged_entry_is_reported_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    feats, cache = raw(), FeatureCache(tmp_path)
    cache.put(KEY, feats)
    [path] = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert torch.equal(cache.get_or_compute(KEY, raw), feats)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert path.name in caplog.text
    assert torch.equal(cache.get_or_compute(KEY, never), feats)


def test_cache_unwritable_folder_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    feats, cache = raw(), FeatureCache(tmp_path / "file" / "cache")
    for _ in range(3):
        assert cache.get_or_compute(KEY, lambda: feats) is feats
    assert ["not kept on disk" in record.getMessage() for record in caplog.records] == [True]


def test_cache_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            FeatureCache(tmp_path).put(KEY, raw())
    assert files(tmp_path) == []


def test_cache_many_threads_see_whole_entries_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    feats = {f"{key:02x}" + 62 * "0": raw(key) for key in range(3)}

    def work(turn: int) -> bool:
        key = list(feats)[turn % 3]
        cache = FeatureCache(tmp_path)
        cache.put(key, feats[key])
        return torch.equal(cache.get_or_compute(key, never), feats[key])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(300)))
    assert len(files(tmp_path)) == 3
    assert not caplog.records


def test_cache_entry_of_another_process_is_read(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from asr_ligru.features.cache import FeatureCache\n"
        "FeatureCache(Path(sys.argv[1])).put(sys.argv[2], torch.arange(6, dtype=torch.float32).view(2, 3))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), KEY], check=True)
    assert FeatureCache(tmp_path).get_or_compute(KEY, never).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(100))
    return path


def test_cache_key_same_question_has_the_same_key(audio: Path) -> None:
    (audio.parent / "link").symlink_to(audio.parent)
    key = cache_key(FeaturesConfig(), audio, offset_s=1.0, duration_s=2.0)
    assert cache_key(FeaturesConfig(), audio.parent / "link" / "a.wav", offset_s=1.0, duration_s=2.0) == key


@pytest.mark.parametrize("field", dataclasses.fields(FeaturesConfig), ids=lambda field: field.name)
def test_cache_key_changes_with_what_changes_raw_features_only(audio: Path, field: dataclasses.Field[Any]) -> None:
    other: Any = {str: "mfcc", bool: not field.default, int: 7, float: 1.5}[type(field.default)]
    changed = cache_key(dataclasses.replace(FeaturesConfig(), **{field.name: other}), audio)
    applied_later = field.name in ("deltas", "splice", "cmvn", "cmvn_variance", "cache")
    assert (changed == cache_key(FeaturesConfig(), audio)) == applied_later


def test_cache_key_differs_by_stretch_speed_channel_and_content(audio: Path) -> None:
    stretches: list[dict[str, Any]] = [{}, {"offset_s": 1.0}, {"duration_s": 1.0}, {"speed": 0.9}, {"channel": "mix"}]
    keys = [cache_key(FeaturesConfig(), audio, **stretch) for stretch in stretches]
    (audio.parent / "b.wav").write_bytes(bytes(100))
    keys.append(cache_key(FeaturesConfig(), audio.parent / "b.wav"))
    os.utime(audio, ns=(1, 1))
    keys.append(cache_key(FeaturesConfig(), audio))
    audio.write_bytes(bytes(101))
    os.utime(audio, ns=(1, 1))
    keys.append(cache_key(FeaturesConfig(), audio))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", ["missing.wav", "nul\0.wav"])
def test_cache_key_missing_audio_is_a_data_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot read audio file"):
        cache_key(FeaturesConfig(), tmp_path / name)
