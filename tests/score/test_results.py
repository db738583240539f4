"""Every RESULTS.md of the repository holds lines that the report prints."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.score.columns import COLUMNS
from asr_ligru.score.commands import report_folders

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
RATE = r"\d+\.\d\d( ± \d+\.\d\d| \(\d+\.\d-\d+\.\d\))?"
SHAPES = {
    "par. M": r"\d+\.\d\d",
    "seeds": r"\d+(,\d+)*|\d+ seeds",
    "WER %": RATE,
    "PER %": RATE,
    "CER %": r"\d+\.\d\d",
    "RTF": r"\d+\.\d{4}",
    "train": r"\d+ s|\d+ min|\d+\.\d h",
    "epochs": r"\d+(-\d+)?",
    "best": r"\d+(-\d+)?",
    "dev %": r"\d+\.\d\d",
    "commit": r"([0-9a-f]{7,}|v\d\S*)(; ([0-9a-f]{7,}|v\d\S*))*",
    "hardware": r".{3,}",
    "command": r"`.*(asr-ligru|torchrun .*-m asr_ligru) .*`",
}


def result_lines(text: str) -> list[dict[str, str]]:
    """Return the cells by title of every table that begins with the column cell."""
    lines: list[dict[str, str]] = []
    titles: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[:1] == ["cell"]:
            titles = cells
        elif not cells:
            titles = []
        elif titles and set(cells[0]) != {"-"}:
            lines.append(dict(zip(titles, cells, strict=True)))
    return lines


def check(text: str) -> None:
    lines = result_lines(text)
    reported = [line for line in lines if "command" in line]
    assert reported, "no table of the report"
    for line in reported:
        optional = {"epochs"} | ({"CER %", "WER %"} if "PER %" in line else {"PER %"})
        assert set(line) <= {*COLUMNS, "PER %"}
        for title, shape in SHAPES.items():
            if title in line or title not in optional:
                assert re.fullmatch(shape, line[title]), f"{title}: {line[title]!r}"
    for line in lines:  # those of other decoders, with columns of their own, too
        rates = [cell for title, cell in line.items() if title.endswith(("WER %", "PER %"))]
        assert rates, f"no error rate in {line}"
        assert all(re.fullmatch(RATE, rate) for rate in rates), rates


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/RESULTS.md")), ids=lambda path: path.parent.name)
def test_results_of_recipes_are_lines_of_the_report(path: Path) -> None:
    check(path.read_text(encoding="utf-8"))


def test_results_of_the_report_have_the_shape(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for seed in (1, 2):
        make_run("ligru", seed)
    make_run("gru", rate=0.2)
    make_run("libru", hidden_size=128)
    make_run("ligru", corpus="timit", profile="timit39")
    check(report_folders([tmp_path], "md", baseline="gru"))


@pytest.mark.parametrize(("old", "new"), [("| 1.41 |", "| 1.4M |"), ("`asr-ligru", "`python"), ("| ligru |", "|")])
def test_results_line_of_another_shape_is_noticed(
    make_run: Callable[..., Path], tmp_path: Path, old: str, new: str
) -> None:
    make_run()
    text = report_folders([tmp_path], "md")
    assert old in text
    with pytest.raises((AssertionError, ValueError)):
        check(text.replace(old, new))


def git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(RECIPES), *words], capture_output=True, text=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/RESULTS.md")), ids=lambda path: path.parent.name)
def test_results_name_commits_that_there_are(path: Path) -> None:
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no git checkout with its whole history")
    named = re.findall(r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,12}\b", path.read_text(encoding="utf-8"))
    assert not [commit for commit in named if git("merge-base", "--is-ancestor", commit, "HEAD").returncode]
