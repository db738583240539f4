"""Rows over seeds, comparisons, and every format of the table."""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.score.commands import report_folders
from asr_ligru.score.report import build_report
from asr_ligru.score.rows import Row, score_run

FORMATS = ("text", "md", "latex", "csv", "json", "kaldi", "html")


def only_rows(folder: Path, baseline: str = "") -> tuple[Row, ...]:
    (section,) = build_report([folder], baseline).sections
    return section.rows


def test_build_report_seeds_of_one_system_share_a_row(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for seed in (3, 1, 2):
        make_run("ligru", seed)
    make_run("gru", 1, rate=0.3)
    ligru, gru = only_rows(tmp_path)
    assert ligru.seeds == [1, 2, 3]
    assert ligru.wer == pytest.approx(statistics.mean(ligru.wers()))
    assert ligru.deviation == pytest.approx(statistics.stdev(ligru.wers()))
    assert (gru.seeds, gru.deviation) == ([1], None)


def test_build_report_other_settings_are_another_row_that_names_them(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    make_run("ligru", 1)
    make_run("ligru", 2, name="wide", hidden_size=512)
    assert {row.differs for row in only_rows(tmp_path)} == {"cell.hidden_size=256", "cell.hidden_size=512"}


def test_build_report_rows_are_ordered_by_wer(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for cell, rate in (("lstm", 0.3), ("ligru", 0.05), ("gru", 0.15)):
        make_run(cell, rate=rate)
    assert [row.facts.cell for row in only_rows(tmp_path)] == ["ligru", "gru", "lstm"]


def test_build_report_each_test_set_has_its_own_table(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(corpus="an4")
    make_run(corpus="demo")
    make_run(corpus="an4", utterances=30, seed=2)  # scored on a part only
    titles = [section.title for section in build_report([tmp_path]).sections]
    assert len(titles) == len(set(titles)) == 3


def test_build_report_synthetic_and_left_out_are_said(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(corpus="demo", left_out=3, skipped_batches=2)
    text = report_folders([tmp_path])
    assert "synthetic speech" in text
    assert "3 utterances left out of training" in text
    assert "2 batches skipped" in text


def test_build_report_words_that_cannot_be_right_are_said(make_run: Callable[..., Path], tmp_path: Path) -> None:
    words = json.loads((make_run(unwritable_words=3) / "wer.json").read_text(encoding="utf-8"))["words"]["ref"]
    line = f"3 of {words} reference words hold what the model cannot write: WER at least {300 / words:.2f} %"
    assert line in " ".join(report_folders([tmp_path]).split())


def test_build_report_same_seed_twice_is_said(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(name="a")
    make_run(name="b")
    assert "seed 1 is there 2 times" in report_folders([tmp_path])


def test_build_report_change_against_baseline(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for cell, rate in (("ligru", 0.05), ("libru", 0.28), ("lstm", 0.3)):
        for seed in (1, 2):
            make_run(cell, seed, rate=rate, utterances=150)
    ligru, libru, lstm = only_rows(tmp_path, "lstm")
    assert ligru.change == pytest.approx(ligru.wer / lstm.wer - 1)
    assert ligru.p is not None
    assert ligru.p < 0.01
    assert libru.p is not None
    assert libru.p > 0.01
    assert (lstm.change, lstm.p) == (None, None)


def test_build_report_against_the_best_row_compares_all_others(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for cell, rate in (("gru", 0.3), ("ligru", 0.1), ("lstm", 0.2)):
        for seed in (1, 2):
            make_run(cell, seed, rate=rate)
    best, *others = only_rows(tmp_path, "best")
    assert (best.facts.cell, best.change, best.p_seeds) == ("ligru", None, None)
    assert all(row.change is not None and row.change > 0 and row.p_seeds is not None for row in others)
    assert "against the best row, relative" in " ".join(report_folders([tmp_path], baseline="best").split())


def test_build_report_change_without_a_partner_is_said(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run("ligru", features="mfcc")
    make_run("lstm")
    assert "mfcc char: no change shown, 0 rows of lstm instead of one" in report_folders([tmp_path], baseline="lstm")


def test_build_report_lost_hypotheses_leave_the_change_without_p(make_run: Callable[..., Path], tmp_path: Path) -> None:
    (make_run("ligru") / "hyp.jsonl").unlink()
    make_run("lstm", rate=0.2)
    row = only_rows(tmp_path, "lstm")[0]
    assert row.change is not None
    assert row.p is None
    assert "no p, cannot read" in report_folders([tmp_path], baseline="lstm")


def test_build_report_unknown_baseline_names_nearest(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run("lstm")
    with pytest.raises(ConfigError) as caught:
        build_report([tmp_path], "lstn")
    assert "did you mean 'lstm'" in str(caught.value)


def test_score_run_changed_hypotheses_are_noticed(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run()
    lines = (folder / "hyp.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "hyp.jsonl").write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    (row,) = only_rows(tmp_path)
    with pytest.raises(DataError, match=r"wer\.json has"):
        score_run(row.runs[0])


@pytest.mark.parametrize("fmt", FORMATS)
def test_report_folders_every_run_is_in_every_format(make_run: Callable[..., Path], tmp_path: Path, fmt: str) -> None:
    make_run("ligru")
    make_run("gru", finished=False)
    (make_run("lstm") / "wer.json").write_text("{", encoding="utf-8")
    (make_run("libru") / "config.json").write_text("", encoding="utf-8")
    make_run("sligru", status="diverged")
    text = report_folders([tmp_path], fmt)
    for expected in ("ligru", "gru", "epoch 4 of 10", "lstm", "libru-fbank-1", "broken", "diverged", "sligru"):
        assert expected in text


def test_report_folders_text_fits_the_terminal(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for cell in ("ligru", "libru", "gru", "lstm"):
        for seed in (1, 2, 3):
            make_run(cell, seed)
        make_run(cell, features="fmllr")
    text = report_folders([tmp_path], baseline="lstm")
    assert max(map(len, text.splitlines())) <= 80
    assert "ligru fbank char: 22 min, best epoch 9 of 10, dev 12.00 %, commit 012345678" in text


def test_report_folders_text_has_color_only_where_asked(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for cell in ("ligru", "gru"):
        make_run(cell)
    assert "\x1b" not in report_folders([tmp_path])
    assert "\x1b[1m" in report_folders([tmp_path], color=True)
    report_folders([tmp_path], out=tmp_path / "report.txt", color=True)
    assert "\x1b" not in (tmp_path / "report.txt").read_text(encoding="utf-8")


def test_report_folders_numbers_of_csv_and_json_agree(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for cell in ("ligru", "gru"):
        make_run(cell)
    make_run("lstm", finished=False)
    tree = json.loads(report_folders([tmp_path], "json", baseline="gru"))
    lines = list(csv.DictReader(io.StringIO(report_folders([tmp_path], "csv", baseline="gru"), newline="")))
    assert [line["state"] for line in lines] == ["finished", "finished", "stopped"]
    for record, line in zip(tree["rows"], lines, strict=True):
        for key, value in record.items():
            assert line[key] == ("" if value is None else str(value))
    assert tree["rows"][0]["wer"] == build_report([tmp_path]).sections[0].rows[0].wer


def test_report_folders_one_run_gives_the_line_for_results(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run()
    text, markdown = report_folders([tmp_path]), report_folders([tmp_path], "md")
    line = next(line for line in markdown.splitlines() if line.startswith("| ligru"))
    assert line in text
    assert "`asr-ligru train recipe=an4_ctc_ligru seed=1`" in line


def test_report_folders_unknown_format_is_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'htm'"):
        report_folders([tmp_path], "htm")


def test_report_folders_two_hundred_runs_are_all_there(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for cell in ("ligru", "libru", "gru", "lstm"):
        first = make_run(cell, name=cell, utterances=130)
        for features, seed in itertools.product(("fbank", "mfcc", "fmllr", "fbank80", "plp"), range(10)):
            copy = shutil.copytree(first, tmp_path / "runs" / f"{cell}-{features}-{seed}")
            run = json.loads((first / "run.json").read_text(encoding="utf-8")) | {"features": features, "seed": seed}
            (copy / "run.json").write_text(json.dumps(run), encoding="utf-8")
        shutil.rmtree(first)
    tree = json.loads(report_folders([tmp_path], "json", baseline="lstm"))
    assert [row["runs"] for row in tree["rows"]] == [10] * 20
    assert sum(row["p"] is not None for row in tree["rows"]) == 15


@pytest.mark.parametrize("fmt", ["text", "md", "latex", "csv"])
def test_report_folders_hostile_names_drive_nothing(make_run: Callable[..., Path], tmp_path: Path, fmt: str) -> None:
    hostile = "=x\x1b[2J\u202e\r\n| <b>`"
    for number, key in enumerate(("cell", "features", "tokens", "corpus", "commit", "command", "hardware")):
        make_run(name=str(number), **{key: hostile})
    make_run(name="\x1b[31mred\n", status=hostile)
    text = report_folders([tmp_path], fmt)
    assert not {c for c in text if not c.isprintable()} - {"\n", "\r"}
    assert text.count("\r") == (text.count("\n") if fmt == "csv" else 0)
    assert ("x1b[2J" if fmt != "md" else r"x1b\[2J") in text


def test_report_folders_kaldi_lines_are_those_of_compute_wer(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run()
    make_run("gru", finished=False)
    counts = json.loads((folder / "wer.json").read_text(encoding="utf-8"))["words"]
    edits = f"{counts['ins']} ins, {counts['del']} del, {counts['sub']} sub"
    title, finished, stopped = report_folders([tmp_path], "kaldi").splitlines()
    assert finished == f"%WER {100 * counts['rate']:.2f} [ {counts['errors']} / {counts['ref']}, {edits} ] {folder}"
    assert title.startswith("# an4 test: ")
    assert stopped.startswith("# stopped: an4 gru")


def test_report_folders_phones_give_a_phone_error_rate(make_run: Callable[..., Path], tmp_path: Path) -> None:
    texts = {"a": "sh iy hv ae", "b": "dcl d"}, {"a": "sh iy hh eh", "b": "sil d"}
    make_run("ligru", corpus="timit", texts=texts, profile="timit39")
    make_run("gru", corpus="timit", texts=(texts[0], texts[0]), profile="timit39")
    text = report_folders([tmp_path], baseline="gru")
    assert "timit test: 6 phones, profile timit39" in text
    assert "PER %" in text
    assert "WER" not in text
    assert "%PER 16.67 [ 1 / 6" in report_folders([tmp_path], "kaldi")


def test_report_folders_names_the_profile_in_every_format(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(profile="lower-nopunct")
    for fmt in FORMATS:
        assert "lower-nopunct" in report_folders([tmp_path], fmt)


def test_report_folders_long_differences_are_numbered_below(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for size in (64, 128, 256):
        run = make_run(name=f"{size}", hidden_size=size, rate=size / 1000)
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        config["train"]["augment"]["time_mask_frames"] = size
        (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    text = report_folders([tmp_path])
    assert max(map(len, text.split("\n\n")[1].splitlines())) <= 80
    assert "[2] ligru fbank char cell.hidden_size=128 train.augment.time_mask_frames=128:" in " ".join(text.split())


def test_build_report_another_recipe_name_is_no_other_system(make_run: Callable[..., Path], tmp_path: Path) -> None:
    for seed in (1, 2):
        run = make_run(seed=seed)
        config = json.loads((run / "config.json").read_text(encoding="utf-8")) | {"run_name": f"try{seed}"}
        (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert [row.seeds for row in only_rows(tmp_path)] == [[1, 2]]


def test_build_report_setting_that_came_later_had_its_default(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(seed=1)
    older = make_run(seed=2)
    config = json.loads((older / "config.json").read_text(encoding="utf-8"))
    del config["hmm"], config["train"]["epochs"]
    (older / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert [row.differs for row in only_rows(tmp_path)] == ["train.epochs=60", "train.epochs=10"]
