"""``asr-ligru lm``: train, measure, check, and what it says of bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.cli import main
from asr_ligru.text.arpa import read_arpa

TEXT = "one two three\ntwo two one\nthree one two two\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "x.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_lm_train_ppl_and_check_work_together(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arpa = tmp_path / "new" / "x.arpa"
    assert main(["lm", "train", str(text), "-o", str(arpa), "--order", "2"]) == 0
    assert "6 1-grams, 11 2-grams" in capsys.readouterr().out
    (tmp_path / "y.txt").write_text("one two four\n", encoding="utf-8")
    assert main(["lm", "ppl", str(arpa), str(tmp_path / "y.txt")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["unknown", "words", "33.33", "%", "(1", "of", "3)"]
    assert float(lines[0].split()[-1]) > float(lines[1].split()[-1]) > 1
    assert main(["lm", "check", str(arpa)]) == 0
    assert "1.000000" in capsys.readouterr().out


def test_lm_train_characters_are_noted_in_the_file(text: Path, tmp_path: Path) -> None:
    assert main(["lm", "train", str(text), "-o", str(tmp_path / "c.arpa"), "--units", "char"]) == 0
    model = read_arpa(tmp_path / "c.arpa")
    assert model.units == "char"
    assert model.vocabulary == set("▁onetwhr")


def test_lm_bad_input_is_said_in_words(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm", "train", str(text), "-o", str(tmp_path / "b.arpa"), "--units", "bpe"]) == 2
    assert "tokens=bpe" in capsys.readouterr().err
    assert main(["lm", "check", str(text)]) == 3
    assert "line 3: no line \\data\\" in capsys.readouterr().err
    assert main(["lm", "train", str(text), "-o", str(tmp_path / "b.arpa"), "--order", "9"]) == 2
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    assert main(["lm", "train", str(tmp_path / "empty.txt"), "-o", str(tmp_path / "b.arpa")]) == 3
    assert not (tmp_path / "b.arpa").exists()
