"""Five hundred texts that would drive a terminal, through everything that scores and reports."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru import cli
from asr_ligru.score.commands import report_folders

PIECES = ["\x1b[2J", "\x1b[31m", "\x1b]8;;http://x\x1b\\", "\x1b]52;c;aGk=\x07", "\x1bP1$r\x1b\\", "\x07", "\r", "\x08"]
PIECES += [
    "\u202e",
    "\u2066",
    "\u200f",
    "\x9b31m",
    "\x85",
    "\u2028",
    "\x7f",
    "\x00",
    "a",
    "\u05db\u05df",
    "=1+1",
    "%",
    "|",
]
FACTS = ("cell", "features", "tokens", "corpus", "split", "commit", "command", "hardware")


def payloads(count: int) -> list[str]:
    rng = random.Random(8)
    return ["".join(rng.choices(PIECES, k=rng.randint(1, 5))) for _ in range(count)]


def check_drives_nothing(text: str) -> None:
    assert not {c for c in text if not c.isprintable()} - {"\n"}


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sides")
    texts = payloads(500)
    for name, key, shift in (("ref", "text", 0), ("hyp", "hyp", 1)):
        lines = [
            {"id": f"{n}{text}", key: f"x {texts[n - shift]}", "speaker": texts[n // 9], "status": text}
            for n, text in enumerate(texts)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder / "ref.jsonl", folder / "hyp.jsonl"


def test_score_of_hostile_texts_prints_what_is_printable(
    sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    ref, hyp = map(str, sides)
    assert cli.main(["score", ref, hyp, "--against", hyp]) == 0
    out = capsys.readouterr()
    check_drives_nothing(out.out)
    check_drives_nothing(out.err)
    assert "\\x1b" in out.out


def test_score_of_hostile_ids_that_differ_is_a_printable_error(
    sides: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = sides[1].read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "hyp.jsonl").write_text("".join(lines[:100]), encoding="utf-8")
    assert cli.main(["score", str(sides[0]), str(tmp_path / "hyp.jsonl")]) == 3
    check_drives_nothing(capsys.readouterr().err)


@pytest.mark.parametrize("fmt", ["text", "md", "latex", "csv", "json", "kaldi", "html"])
def test_report_of_hostile_facts_drives_nothing_in_any_format(
    make_run: Callable[..., Path], tmp_path: Path, fmt: str
) -> None:
    texts = [text.replace("\x00", "") for text in payloads(10 * len(FACTS))]
    for n in range(10):
        facts = dict(zip(FACTS, texts[n::10], strict=True))
        make_run(name=f"r{n}", utterances=3, **facts)
    make_run(name="x\x1b[2J\u202e", status="\x1b]0;t\x07")
    report = report_folders([tmp_path], fmt, every_s=5)
    check_drives_nothing(report.replace("\r\n", "\n"))  # CSV's line ends
