"""Decoding a user's own files: any rate, any number of channels, folders, and what cannot be read."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.functional

from asr_ligru.config import CorpusConfig
from asr_ligru.data import audio
from asr_ligru.decode import files
from asr_ligru.decode.files import decode_files, for_any_audio
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.run import decode_feats
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


def test_decode_another_rate_is_resampled_to_the_models(model: LoadedModel, tmp_path: Path) -> None:
    time = torch.arange(16000) / 16000
    audio.write(tmp_path / "16k.wav", 0.4 * torch.sin(2 * math.pi * (300 + 500 * time) * time), 16000)
    stored, rate = soundfile.read(tmp_path / "16k.wav", dtype="float32")
    assert rate == 16000
    wav = torchaudio.functional.resample(torch.from_numpy(stored), 16000, SAMPLE_RATE_HZ)
    (result,) = decode_feats(model, [model.feats(wav)], GreedyDecoder(model.tokenizer))
    (hyp,), timing = decode_files(model, [str(tmp_path / "16k.wav")])
    assert (hyp.text, hyp.status) == (result.text, "ok")
    assert hyp.score == pytest.approx(result.score, rel=1e-6)
    assert timing.audio_s == pytest.approx(1.0)


def test_decode_stereo_is_the_mean_of_its_channels(model: LoadedModel, tmp_path: Path) -> None:
    sides = torch.stack([say(["ab", "cd"], 1), say(["gh", "ef"], 2)], dim=1).numpy()  # (N, 2)
    for name, samples in (("stereo", sides), ("mean", sides.mean(1, dtype=np.float32)), ("left", sides[:, 0])):
        soundfile.write(tmp_path / f"{name}.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    hyps, _ = decode_files(model, [str(tmp_path / f"{name}.wav") for name in ("stereo", "mean", "left")])
    assert (hyps[0].text, hyps[0].score) == (hyps[1].text, pytest.approx(hyps[1].score, rel=1e-6))
    assert hyps[0].text != hyps[2].text


def test_decode_folder_takes_its_audio_in_the_order_of_names(model: LoadedModel, tmp_path: Path) -> None:
    folder, first = tmp_path / "folder", write(tmp_path / "zz.wav", "cd")
    for name in ("b.wav", "a.flac", "c/y.wav", "c/z.wav", "Q.wav"):
        write(folder / name, "ab")
    (folder / "c" / "z.wav").rename(folder / "c" / "z.WAV")
    (folder / "notes.txt").write_text("no audio", encoding="utf-8")
    hyps, _ = decode_files(model, [str(first), str(folder)])
    in_order = [folder / name for name in ("Q.wav", "a.flac", "b.wav", "c/y.wav", "c/z.WAV")]
    assert [h.utt_id for h in hyps] == [str(first), *map(str, in_order)]
    assert {h.status for h in hyps} == {"ok"}


def test_decode_bad_files_keep_their_place_over_groups(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", 2)
    good = {name: write(tmp_path / f"{name}.wav", words) for name, words in (("1", "ab"), ("3", "gh cd"), ("5", "ef"))}
    (tmp_path / "0.wav").write_bytes(b"")
    (tmp_path / "2.wav").write_bytes(good["1"].read_bytes()[:2000])
    (tmp_path / "4.wav").write_text("not audio", encoding="utf-8")
    hyps, timing = decode_files(model, [str(tmp_path), str(tmp_path / "absent.wav")])
    assert [Path(h.utt_id).stem for h in hyps] == ["0", "1", "2", "3", "4", "5", "absent"]
    assert [h.status == "ok" for h in hyps] == [False, True, False, True, False, True, False]
    assert [h.text for h in hyps if h.status != "ok"] == [""] * 4
    alone = [decode_files(model, [str(path)])[0][0].text for path in good.values()]
    assert [h.text for h in hyps if h.status == "ok"] == alone
    assert timing.audio_s == pytest.approx(sum(audio.probe(path).duration_s for path in good.values()))
    assert timing.wall_s > 0


def test_decode_empty_folder_gives_nothing(model: LoadedModel, tmp_path: Path) -> None:
    hyps, timing = decode_files(model, [str(tmp_path)])
    assert hyps == []
    assert timing.rtf == 0.0


def test_for_any_audio_allows_any_rate_channels_and_an_hour() -> None:
    assert for_any_audio(CorpusConfig(max_seconds=20.0)) == CorpusConfig(
        max_seconds=3600.0, resample=True, channel="mix"
    )
    assert for_any_audio(CorpusConfig(max_seconds=7200.0)).max_seconds == 7200.0
