"""What others published, beside one's own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.errors import ConfigError
from asr_ligru.score.commands import report_folders
from asr_ligru.score.published import Figure, published_corpora, read_published


@pytest.mark.parametrize("corpus", published_corpora())
def test_read_published_every_file_is_whole(corpus: str) -> None:
    found = read_published(corpus)
    assert (found.corpus, found.metric in ("WER", "PER")) == (corpus, True)
    for figure in found.figures:
        assert 0 < figure.rate < 100
        assert min(map(len, (figure.system, figure.conditions, figure.source))) > 5
        if figure.errors is not None:
            assert round(100 * figure.errors / (figure.ref or 1), 2) == figure.rate
    assert [figure.rate for figure in found.figures] == sorted(figure.rate for figure in found.figures)


def test_read_published_an4_are_those_of_kaldi() -> None:
    # %WER 5.95 [ 46 / 773, 3 ins, 3 del, 40 sub ] exp/tri3/decode/wer_20_1.0
    best = read_published("an4").figures[0]
    assert (best.rate, best.errors, best.ref) == (5.95, 46, 773)


def test_read_published_unknown_corpus_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        read_published("anf")
    assert "did you mean 'an4'" in str(caught.value)


@pytest.mark.parametrize("fmt", ["text", "md", "latex", "html"])
def test_report_folders_published_figures_are_marked(make_run: Callable[..., Path], tmp_path: Path, fmt: str) -> None:
    make_run()
    text = report_folders([tmp_path], fmt, published=["an4", "timit"])
    for expected in ("not run here", "5.95", "Kaldi egs/an4/s5/RESULTS", "chosen on this test set", "PER", "13.8"):
        assert expected in text


def test_report_folders_published_figures_need_no_run() -> None:
    text = report_folders([], published=["an4"])
    assert "46 / 773" in text
    assert max(map(len, text.splitlines())) <= 80


def test_report_folders_published_records_say_their_state() -> None:
    records = json.loads(report_folders([], "json", published=["an4"]))["rows"]
    assert {record["state"] for record in records} == {"published, not run here"}
    assert (records[0]["wer"], records[0]["words"]) == (pytest.approx(0.0595), 773)
    lines = csv.DictReader(io.StringIO(report_folders([], "csv", published=["an4"]), newline=""))
    assert [line["cell"] for line in lines] == [record["cell"] for record in records]


def test_table_numbers_each_remark_once() -> None:
    found = read_published("an4")
    assert len(set(found.remarks)) == len(found.remarks) < len(found.figures)
    assert {row[-1] for row in found.table().rows} == {f"[{n + 1}]" for n in range(len(found.remarks))}
    assert Figure("x", 1.0, "c", "s").remark == "c; s"
