"""``asr-ligru rover`` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.cli import main
from asr_ligru.score.rover import Vote
from asr_ligru.score.rover_files import read_vote
from tests.score.test_rover_files import write_jsonl


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    heard = [("NO", 0.2), ("NO", 0.1), ("GO", 0.9)]
    paths = [write_jsonl(tmp_path / f"{n}.jsonl", {"u": [one], "v": [one]}) for n, one in enumerate(heard)]
    write_jsonl(paths[1], {"u": [heard[1]]})
    return [str(path) for path in paths]


def test_rover_tunes_on_dev_and_votes_so(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dev.trn").write_text("GO (u)\nGO (v)\n", encoding="utf-8")
    vote, out = tmp_path / "vote.json", tmp_path / "all.trn"
    assert main(["rover", *files, "--tune", str(tmp_path / "dev.trn"), "-o", str(vote)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("%WER 0.00 [ 0 / 2")
    assert "1.jsonl: 1 utterances, 1 missing, where the others vote: v" in captured.err
    assert main(["rover", *files, "--config", str(vote), "-o", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == "GO (u)\nGO (v)\n"
    assert read_vote(vote) != Vote()
    assert main(["rover", *files, "-q"]) == 0
    assert [line[:34] for line in capsys.readouterr().out.splitlines()] == [
        '{"id": "u", "status": "ok", "text"',
        '{"id": "v", "status": "ok", "text"',
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alpha", "2"], "alpha: expected a value from 0.0 to 1.0"),
        (["--alpha", "0.5", "--config", "x"], "exclude each other"),
        (["--tune", "dev.trn"], "--tune writes a file"),
        (["--profile", "upper"], "--profile is for the references of --tune"),
    ],
)
def test_rover_wrong_use_is_said_in_words(
    files: list[str], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rover", *files, *arguments]) == 2
    assert message in capsys.readouterr().err
