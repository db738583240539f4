"""Recordings at another sample rate than a model's: refused unless that is allowed, and then heard as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from scipy.signal import resample_poly

from asr_ligru import cli
from asr_ligru.config import CorpusConfig
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import prepare_corpus
from asr_ligru.decode.run import decode_utterances
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.score.wer import score
from asr_ligru.typing import Utterance

RATE_HZ = 8000
LIMIT = 0.01  # of the error rate


@pytest.fixture(scope="module")
def fsdd(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the corpus, and a model of its ten words in ``exp``."""
    folder = tmp_path_factory.mktemp("fsdd")
    prepare_corpus("fsdd", shared / "corpora" / "fsdd", folder)
    settings = ("recipe=fsdd_ctc", "train.epochs=8", "cell.hidden_size=64", "cell.num_layers=2", "train.threads=1")
    places = (f"corpus.dir={folder}", f"exp_dir={folder / 'exp'}", "train.progress=false", "decode.split=none")
    assert cli.main(["train", *settings, *places]) == 0
    return folder


def at(rate_hz: int, utterances: list[Utterance], folder: Path) -> list[Utterance]:
    """Write the recordings anew at another rate."""
    made = []
    for number, utterance in enumerate(utterances):
        samples, old_hz = soundfile.read(utterance.audio_path)
        path = folder / f"{number}.wav"
        soundfile.write(path, resample_poly(samples, rate_hz // 100, old_hz // 100), rate_hz, subtype="FLOAT")
        made.append(replace(utterance, audio_path=path, duration_s=soundfile.info(path).duration))
    return made


def word_errors(model: LoadedModel, utterances: list[Utterance], reading: CorpusConfig) -> tuple[float, set[str]]:
    """Return the rate of word errors, and how the decoding of utterances ended."""
    hyps, _ = decode_utterances(model, utterances, reading=reading)
    refs = {u.utt_id: u.text for u in utterances}
    rate = score(refs, {h.utt_id: h.text for h in hyps}).words.rate
    assert rate is not None
    return rate, {h.status for h in hyps}


@pytest.mark.fuzz
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_resampled_recordings_are_heard_as_well_as_those_of_the_models_rate(
    rate_hz: int, fsdd: Path, tmp_path: Path
) -> None:
    model, test = load_model(fsdd / "exp"), read_manifest(fsdd / "test.jsonl")
    native, status = word_errors(model, test, CorpusConfig())
    assert (native < 0.2, status) == (True, {"ok"})
    there = at(rate_hz, test, tmp_path)
    resampled, status = word_errors(model, there, CorpusConfig(resample=True))
    assert status == {"ok"}
    assert abs(resampled - native) <= LIMIT, (native, resampled)
    _, status = word_errors(model, there, CorpusConfig())
    assert all(f"sample rate {rate_hz} Hz, expected {RATE_HZ} Hz" in reason for reason in status)
    print(f"{rate_hz} Hz: {100 * resampled:.2f} %, at the model's rate {100 * native:.2f} %")
