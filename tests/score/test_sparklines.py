"""Learning curves in letters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.score.commands import report_folders
from asr_ligru.score.runs import read_run
from asr_ligru.score.sparklines import run_curves, sparkline


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"), ([3.0], "▁"), ([2, 2, 2], "▁▁▁"), ([9, 1], "█▁"), ([-1, 1], "▁█")],
)
def test_sparkline_spans_lowest_to_highest(values: list[float], drawn: str) -> None:
    assert sparkline(values) == drawn


@pytest.mark.parametrize("count", [48, 49, 97, 1000])
def test_sparkline_of_many_values_is_bounded_and_keeps_its_shape(count: int) -> None:
    drawn = sparkline(list(range(count)))
    assert len(drawn) == 48
    assert (drawn[0], drawn[-1], sorted(drawn)) == ("▁", "█", list(drawn))


def test_run_curves_say_first_last_and_lowest(make_run: Callable[..., Path]) -> None:
    first = run_curves(read_run(make_run(finished=False, rate=0.2))).splitlines()[0]
    assert first == "  dev WER %  █▃▂▁ 100 to 40, lowest 40"  # 0.2 * (1 + 4 / epoch), four epochs


def test_run_curves_unreadable_metrics_are_said(make_run: Callable[..., Path]) -> None:
    folder = make_run(finished=False)
    (folder / "metrics.jsonl").write_text("[\n", encoding="utf-8")
    assert "cannot read" in run_curves(read_run(folder))


def test_report_folders_watched_text_has_curves_first(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run()
    make_run("gru", finished=False)
    watched = report_folders([tmp_path], every_s=5)
    assert watched.index("▁") < watched.index("an4 test:")
    assert watched.count("epoch 4 of 10") == 1
    assert "▁" not in report_folders([tmp_path])


def test_report_folders_watched_page_reads_itself_again(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(finished=False)
    assert '<meta http-equiv="refresh" content="7">' in report_folders([tmp_path], "html", every_s=7)
    assert "refresh" not in report_folders([tmp_path], "html")
