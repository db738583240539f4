"""Transcribing from Python, as the README shows it."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import asr_ligru
from asr_ligru.data import audio
from asr_ligru.decode import recognizer
from asr_ligru.decode.transcribe import transcribe
from tests.tiny_corpus import SAMPLE_RATE_HZ, say
from tests.tiny_model import write_model


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_model(tmp_path / "exp" / "my_run" / "model")
    wav = say(["ab", "gh", "ef"], seed=1)
    audio.write(tmp_path / "hello.wav", wav[: int(0.9 * SAMPLE_RATE_HZ)], SAMPLE_RATE_HZ)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_load_model_docstring_example_says_the_truth(place: Path) -> None:
    (example,) = [test for test in doctest.DocTestFinder().find(recognizer) if test.examples]
    assert example.name == "asr_ligru.decode.recognizer.load_model"
    found = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert (found.failed, found.attempted) == (0, 3)


def test_recognizer_transcribes_as_the_function_it_stands_for(place: Path) -> None:
    model = asr_ligru.load_model(str(place / "exp" / "my_run"))
    spoken = list(model.transcribe("hello.wav", n_best=3))
    assert spoken == list(transcribe(model, Path("hello.wav"), n_best=3))
    assert spoken[0].text
    with open("hello.wav", "rb") as stream:
        assert list(model.transcribe(stream, n_best=3)) == spoken
