"""Models estimated by lmplz: its file is taken as it is, its failures are told, nothing is left behind.

The program is a stand-in that writes what KenLM 0.3.0's lmplz made of the same text.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asr_ligru.cli import main
from asr_ligru.errors import ConfigError, DataError, EnvironmentError_
from asr_ligru.text.arpa import read_arpa
from asr_ligru.text.lmplz import write_lmplz

FIXTURES = Path(__file__).parent / "fixtures"
TEXT = FIXTURES / "commands.txt"
LMPLZ = f"""#!{sys.executable}
import pathlib, sys
text, folder = sys.stdin.read(), pathlib.Path(sys.argv[0]).parent
(folder / "said").write_text("\\n".join([*sys.argv[1:], text]))
if "fail" in text:
    sys.exit("bad luck")
sys.stdout.write(pathlib.Path({str(FIXTURES / "commands_lmplz.arpa")!r}).read_text())
"""


@pytest.fixture
def lmplz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a folder"
    folder.mkdir()
    program = folder / "lmplz"
    program.write_text(LMPLZ, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return program


def test_lm_train_lmplz_on_the_path_is_used_and_named(
    lmplz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arpa = tmp_path / "x.arpa"
    assert main(["lm", "train", str(TEXT), "-o", str(arpa), "--order", "3"]) == 0
    assert f"estimated by {lmplz}" in capsys.readouterr().out
    expected = read_arpa(FIXTURES / "commands_lmplz.arpa")
    assert read_arpa(arpa) == expected
    said = lmplz.with_name("said").read_text(encoding="utf-8")
    assert said.startswith("-o\n3\n")
    assert said.endswith("\n".join(TEXT.read_text(encoding="utf-8").splitlines()) + "\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a folder", "x.arpa"]


def test_lm_train_own_estimator_leaves_lmplz_alone(lmplz: Path, tmp_path: Path) -> None:
    assert main(["lm", "train", str(TEXT), "-o", str(tmp_path / "x.arpa"), "--estimator", "own"]) == 0
    assert not lmplz.with_name("said").exists()


def test_lm_train_lmplz_asked_for_but_absent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["lm", "train", str(TEXT), "-o", str(tmp_path / "x.arpa"), "--estimator", "lmplz"]) == 4
    assert "no program lmplz" in capsys.readouterr().err
    assert main(["lm", "train", str(TEXT), "-o", str(tmp_path / "x"), "--neural", "--estimator", "own"]) == 2


def test_write_lmplz_characters_are_noted_in_the_file(lmplz: Path, tmp_path: Path) -> None:
    write_lmplz(tmp_path / "c.arpa", [["a"]], 3, "char", program=str(lmplz), text_bytes=1)
    assert read_arpa(tmp_path / "c.arpa").units == "char"


@pytest.mark.parametrize(
    ("sentences", "order", "error", "expected"),
    [
        ([["fail"]], 3, EnvironmentError_, "lmplz ended with 1: bad luck"),
        ([["one", "</s>"]], 3, DataError, "reserved word"),
        ([], 3, DataError, "no words"),
        ([["one"]], 9, ConfigError, "got 9"),
    ],
)
def test_write_lmplz_bad_input_leaves_the_old_file(
    lmplz: Path, tmp_path: Path, sentences: list[list[str]], order: int, error: type[Exception], expected: str
) -> None:
    arpa = tmp_path / "x.arpa"
    arpa.write_text("old", encoding="utf-8")
    with pytest.raises(error, match=expected):
        write_lmplz(arpa, sentences, order, "word", program=str(lmplz), text_bytes=1)
    assert arpa.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a folder", "x.arpa"]
