"""Recordings of nearly nothing and of odd signals: trained on, decoded or refused, and never a number that is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_ligru import cli
from asr_ligru.config import FeaturesConfig
from asr_ligru.data import audio
from asr_ligru.data.manifest import write_manifest
from asr_ligru.errors import DataError
from asr_ligru.features.frontend import Frontend
from asr_ligru.typing import Utterance
from tests.tiny_corpus import OVERRIDES

RATE_HZ = 16000
WINDOW = 400  # samples
LENGTHS = (0, 1, WINDOW - 1, WINDOW, WINDOW + 1)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, count)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on a corpus of which each split has, beside others, utterances of such lengths."""
    folder = tmp_path_factory.mktemp("odd")
    for split, others in (("train", 12), ("dev", 3), ("test", 3)):
        utterances = []
        for number in (*range(others), *(f"of-{length}" for length in LENGTHS)):
            count = number if isinstance(number, str) else ""
            path = folder / f"{split}-{number}.wav"
            soundfile.write(path, noise(int(count[3:]) if count else RATE_HZ // 2), RATE_HZ)
            text, seconds = ("a", 1 / RATE_HZ) if count else ("ab b", 0.5)
            seconds = max(seconds, int(count[3:] or 0) / RATE_HZ) if count else seconds
            utterances.append(Utterance(f"{split}-{number}", path, seconds, text))
        write_manifest(folder / f"{split}.jsonl", utterances)
    settings = ("features.sample_rate_hz=16000", "train.epochs=1", "corpus.max_bad_rate=0.4")
    assert cli.main(["train", *OVERRIDES, *settings, f"corpus.dir={folder}", f"exp_dir={folder / 'exp'}"]) == 0
    return folder / "exp"


def records(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_train_below_one_window_is_recorded_and_one_window_is_trained_on(run: Path) -> None:
    expected = {f"{split}-of-{length}" for split in ("train", "dev") for length in LENGTHS if length < WINDOW}
    bad = {record["id"]: record["reason"] for record in records(run / "bad_utterances.jsonl")}
    assert bad.keys() == expected
    assert all(("no samples" if name.endswith("-0") else "too short") in reason for name, reason in bad.items()), bad


def test_score_below_one_window_is_an_empty_hypothesis_with_its_reason(run: Path) -> None:
    status = {record["id"]: record["status"] for record in records(run / "hyp.jsonl")}
    assert len(status) == 3 + len(LENGTHS)
    assert {name for name, found in status.items() if found != "ok"} == {
        f"test-of-{length}" for length in LENGTHS if length < WINDOW
    }


@pytest.mark.parametrize("length", LENGTHS)
def test_decode_of_so_many_samples_is_a_text_or_a_reason(
    length: int, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["decode", str(run), str(run.parent / f"test-of-{length}.wav"), "-q"])
    message = capsys.readouterr().err
    assert (code, bool(message)) == ((1, True) if length < WINDOW else (0, False)), message
    assert length >= WINDOW or ("no samples" if length == 0 else f"{length} samples, expected") in message


TIME_S = np.arange(RATE_HZ // 2) / RATE_HZ
TONE = np.sin(2 * np.pi * 440 * TIME_S)
SIGNALS = {
    "clipped": (3 * TONE).clip(-1, 1),
    "offset": 0.9 + 0.05 * TONE,
    "silence": 0 * TONE,
    "constant": 0 * TONE + 0.25,
    "over full scale": 2.5 * TONE,
    "barely there": 1e-38 * TONE,
    "highest pitch": np.resize([1.0, -1.0], len(TONE)),
    "one click": np.eye(1, len(TONE), 4000)[0],
}


@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
@pytest.mark.parametrize("name", SIGNALS)
def test_features_of_an_odd_signal_are_finite(name: str, kind: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", SIGNALS[name], RATE_HZ, subtype="FLOAT")
    wav = audio.read(tmp_path / "x.wav")
    assert float(wav.abs().max()) <= 1.0
    frontend = Frontend(FeaturesConfig(name=kind, deltas=2))
    assert bool(torch.isfinite(frontend(frontend.extract(wav))).all())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_signal_with_a_sample_that_is_no_number_has_no_features(value: float, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.append(TONE, value), RATE_HZ, subtype="FLOAT")
    with pytest.raises(DataError, match="1 samples are NaN or Inf"):
        audio.read(tmp_path / "x.wav")
