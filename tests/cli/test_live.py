"""``decode MODEL - --stream`` as a person types it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from torch import Tensor

from asr_ligru.cli import main
from asr_ligru.models.load import load_model
from tests.decode.test_streaming import whole, write_one_way
from tests.tiny_corpus import SAMPLE_RATE_HZ, say


def speak(monkeypatch: pytest.MonkeyPatch, wav: Tensor) -> None:
    samples = (wav * 32768).short().numpy().tobytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(samples), encoding="utf-8"))


def test_stream_verb_prints_partial_lines_and_the_final_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, wav = write_one_way(tmp_path), say(["ab", "cd", "gh"], 2)
    command = ["decode", str(model), "-", "--stream", "--raw-rate", str(SAMPLE_RATE_HZ)]
    speak(monkeypatch, wav)
    assert main(command) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    finals = [text for kind, text in lines if kind == "final"]
    assert " ".join(finals) == whole(load_model(model), (wav * 32768).short() / 32768)
    assert {kind for kind, _ in lines} == {"partial", "final"}
    speak(monkeypatch, wav)
    assert main([*command, "-q"]) == 0
    assert capsys.readouterr().out.splitlines() == finals


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["a.wav", "--stream"], "reads standard input"),
        (["-", "--stream", "--n-best", "3"], "does not go with --n-best"),
    ],
)
def test_stream_verb_with_what_it_cannot_do_is_refused(
    more: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speak(monkeypatch, say(["ab"], 1))
    assert main(["decode", str(write_one_way(tmp_path)), *more, "--stream"]) == 2
    assert why in capsys.readouterr().err
