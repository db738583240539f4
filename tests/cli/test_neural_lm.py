"""``asr-ligru lm`` with networks: train, measure, check and sample, and what it says of bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.cli import main
from asr_ligru.lm.model import write_lm
from tests.lm.tiny_lm import tiny_lm
from tests.tiny_model import write_model

SMALL = ["--neural", "--hidden-size", "8", "--epochs", "1", "-q"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "x.txt"
    path.write_text("one two three\ntwo two one\nthree one two two\n" * 4, encoding="utf-8")
    return path


@pytest.mark.parametrize("more", [["--cell", "lstm"], ["--units", "bpe", "--vocab-size", "12"]])
def test_lm_neural_trains_measures_checks_and_samples(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    folder = tmp_path / "new" / "lm1"
    assert main(["lm", "train", str(text), "-o", str(folder), *SMALL, *more]) == 0
    told = capsys.readouterr().out
    assert "trained on                 11 sentences, best of 1 epochs: 1" in told
    assert main(["lm", "check", str(folder)]) == 0
    assert capsys.readouterr().out in told
    (tmp_path / "y.txt").write_text("one\ntwo ée é\n", encoding="utf-8")
    assert main(["lm", "ppl", str(folder), str(tmp_path / "y.txt")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["unknown", "characters", "18.18", "%", "(2", "of", "11)"]
    assert lines[3].split() == ["'é'", "x", "2"]
    assert float(lines[0].split()[1]) > float(lines[1].split()[2]) > 1
    arguments = ["lm", "sample", str(folder), "--n", "3", "--seed", "5", "--max-tokens", "4"]
    assert main(arguments) == 0
    drawn = capsys.readouterr()
    assert len(drawn.out.splitlines()) == 3
    assert main(arguments) == 0
    assert capsys.readouterr() == drawn


def test_lm_neural_takes_the_pieces_of_a_model_only_if_they_are_bpe(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model")  # of characters
    given = ["lm", "train", str(text), "-o", str(tmp_path / "a"), *SMALL, "--units", "bpe", "--model", str(model)]
    assert main(given) == 2
    assert "BPE needs a model with such a tokenizer, got char" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--cell", "gru", "--seed", "2"], 2, "n-grams have no --cell, --seed"),
        (["--neural", "--order", "3"], 2, "a network has no --order"),
        (["--neural", "--units", "word"], 2, "no --units word"),
        (["--neural", "--cell", "grru"], 2, "did you mean 'gru'"),
        (["--neural", "--lr", "100", "--held-out", "2"], 2, "held_out: expected a value from 1e-06 to 0.9"),
        (["--neural", "--device", "cuda:9"], 2, "no device 'cuda:9'"),
        (["--neural", "--dev", "empty.txt"], 3, "no words in the development texts"),
    ],
)
def test_lm_neural_wrong_use_is_said_in_words(
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n", encoding="utf-8")
    assert main(["lm", "train", str(text), "-o", "out", "-q", *arguments]) == code
    assert message in capsys.readouterr().err
    assert not Path("out").exists() or not Path("out", "lm").exists()


def test_lm_of_another_kind_than_needed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.arpa").write_text("\\data\\\n", encoding="utf-8")
    assert main(["lm", "sample", str(tmp_path / "x.arpa")]) == 3
    assert "a file, such as an n-gram model" in capsys.readouterr().err
    write_lm(tmp_path / "run" / "lm", tiny_lm(), {})
    for path in (tmp_path / "run", tmp_path / "run" / "lm"):
        assert main(["decode", str(path), "x.wav", "-q"]) == 3
        assert "not an acoustic model but a language model" in capsys.readouterr().err
    arguments = ["decode", str(write_model(tmp_path / "model")), "x.wav", "--decoder", "beam", "-q"]
    assert main([*arguments, "--lm", str(tmp_path / "run")]) == 3
    assert "a neural language model, which is a folder, goes to --rescore" in capsys.readouterr().err
    assert main([*arguments, "--rescore", str(tmp_path / "x.arpa")]) == 3
    assert "which goes to --lm" in capsys.readouterr().err
    assert main(["lm", "ppl", str(tmp_path / "model"), str(tmp_path / "x.arpa")]) == 3
    assert "not a neural language model: an acoustic model" in capsys.readouterr().err
