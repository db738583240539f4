"""Decoding a user's own files together: any format and rate, what cannot be read, the same text as alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.functional

from asr_ligru.data import audio
from asr_ligru.decode.files import decode_files
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.inputs import find_inputs
from asr_ligru.decode.recording import Settings
from asr_ligru.decode.run import decode_feats
from asr_ligru.decode.transcript import Transcript
from asr_ligru.models.load import LoadedModel, load_model
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_model(tmp_path_factory.mktemp("model")))


def write(path: Path, words: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, say(words.split(), seed=3), SAMPLE_RATE_HZ)
    return path


def decode(model: LoadedModel, *paths: Path, **settings: object) -> list[Transcript]:
    inputs = find_inputs([str(path) for path in paths])
    return [transcript for _, transcript in decode_files(model, inputs, Settings(**settings))]  # type: ignore[arg-type]


def test_decode_another_rate_is_resampled_to_the_models(model: LoadedModel, tmp_path: Path) -> None:
    time = torch.arange(16000) / 16000
    audio.write(tmp_path / "16k.wav", 0.4 * torch.sin(2 * math.pi * (300 + 500 * time) * time), 16000)
    stored, rate = soundfile.read(tmp_path / "16k.wav", dtype="float32")
    assert rate == 16000
    wav = torchaudio.functional.resample(torch.from_numpy(stored), 16000, SAMPLE_RATE_HZ)
    (expected,) = decode_feats(model, [model.feats(wav)], GreedyDecoder(model.tokenizer))
    (got,) = decode(model, tmp_path / "16k.wav")
    assert (got.text, got.status) == (expected.text, "ok")
    assert got.segments[0].score == pytest.approx(expected.score, rel=1e-6)
    assert got.duration_s == pytest.approx(1.0)


def test_decode_stereo_is_the_mean_of_its_channels_or_each_of_them(model: LoadedModel, tmp_path: Path) -> None:
    sides = torch.stack([say(["ab", "cd"], 1), say(["gh", "ef"], 2)], dim=1).numpy()  # (N, 2)
    names = ("stereo", "mean", "left", "right")
    for name, samples in zip(names, (sides, sides.mean(1, dtype=np.float32), sides[:, 0], sides[:, 1]), strict=True):
        soundfile.write(tmp_path / f"{name}.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    stereo, mean, left, right = decode(model, *(tmp_path / f"{name}.wav" for name in names))
    assert stereo.text == mean.text
    assert len({mean.text, left.text, right.text}) == 3
    (split,) = decode(model, tmp_path / "stereo.wav", channel="split")
    assert [(s.channel, s.text) for s in split.segments] == [(0, left.text), (1, right.text)]
    assert decode(model, tmp_path / "stereo.wav", channel="1")[0].text == right.text


def test_decode_bad_files_keep_their_place_and_change_nothing_else(model: LoadedModel, tmp_path: Path) -> None:
    good = {name: write(tmp_path / f"{name}.wav", words) for name, words in (("1", "ab"), ("3", "gh cd"), ("5", "ef"))}
    (tmp_path / "0.wav").write_bytes(b"")
    (tmp_path / "2.wav").write_bytes(good["1"].read_bytes()[:2000])
    (tmp_path / "4.wav").write_text("not audio", encoding="utf-8")
    got = decode(model, tmp_path, tmp_path / "absent.wav")
    assert [Path(t.source).stem for t in got] == ["0", "1", "2", "3", "4", "5", "absent"]
    assert [t.status == "ok" for t in got] == [False, True, False, True, False, True, False]
    assert [t.segments for t in got if t.status != "ok"] == [()] * 4
    assert [t.text for t in got if t.status == "ok"] == [decode(model, path)[0].text for path in good.values()]


def test_decode_among_a_hundred_files_equals_alone(model: LoadedModel, tmp_path: Path) -> None:
    words = ("ab", "cd", "ef", "gh")
    paths = []
    for number in range(100):
        said = [words[(number + k * k) % 4] for k in range(1 + number % 5)]
        paths.append(write(tmp_path / f"{number:03}.flac", " ".join(said)))
    together = decode(model, tmp_path)
    assert len({t.text for t in together}) == 20
    assert [t.text for t in together[::9]] == [decode(model, path)[0].text for path in paths[::9]]
    assert [t.text for t in decode(model, tmp_path, batch_size=3)] == [t.text for t in together]


def test_decode_fail_fast_ends_behind_the_first_failure(model: LoadedModel, tmp_path: Path) -> None:
    for name in ("0", "2", "3"):
        write(tmp_path / f"{name}.wav", "ab")
    (tmp_path / "1.wav").write_bytes(b"")
    inputs = find_inputs([str(tmp_path)])
    done = [t for _, t in decode_files(model, inputs, Settings(), fail_fast=True)]
    assert [(Path(t.source).stem, t.status == "ok") for t in done] == [("0", True), ("1", False)]


def test_decode_without_memory_halves_the_batch_and_gives_up_one_piece_alone(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, words in (("a", "ab"), ("b", "ab cd ef gh ab cd"), ("c", "gh"), ("d", "cd")):
        write(tmp_path / f"{name}.wav", words)
    expected = [t.text for t in decode(model, tmp_path)]
    whole = LoadedModel.log_probs

    def small(self: LoadedModel, feats: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        if sum(map(len, feats)) > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return whole(self, feats)

    monkeypatch.setattr(LoadedModel, "log_probs", small)
    got = decode(model, tmp_path)
    assert [t.text for t in got] == [expected[0], "", *expected[2:]]
    assert ["memory" in t.status for t in got] == [False, True, False, False]


def test_decode_long_silences_are_left_out_and_said(
    model: LoadedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    talk, silence = say(["ab", "cd", "gh"] * 4, 1), torch.zeros(60 * SAMPLE_RATE_HZ)
    audio.write(tmp_path / "x.wav", torch.cat([talk, silence, talk]), SAMPLE_RATE_HZ)
    with caplog.at_level("INFO", "asr_ligru"):
        (got,) = decode(model, tmp_path / "x.wav")
    assert got.duration_s == pytest.approx(60.0 + 2 * len(talk) / SAMPLE_RATE_HZ)
    assert not any(20.0 < (s.start_s + s.end_s) / 2 < 50.0 for s in got.segments)
    assert "x.wav: 59 s of silence left out" in caplog.text
