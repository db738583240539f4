"""Runs found on disk, whatever state they are in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.errors import DataError
from asr_ligru.score.runs import find_runs, read_metrics, read_run
from asr_ligru.train.lock import run_lock


def test_find_runs_at_any_depth_by_path(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folders = [make_run(name=name) for name in ("b/deep/er", "a", "c/x")]
    assert [run.folder for run in find_runs([tmp_path])] == sorted(folders)
    assert [run.folder for run in find_runs([folders[0]])] == [folders[0]]


def test_find_runs_enters_no_run_and_no_model_folder(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run()
    for model in (folder / "model", tmp_path / "exported"):
        model.mkdir()
        (model / "config.json").write_text("{}", encoding="utf-8")
        (model / "model.safetensors").write_bytes(b"")
    assert [run.folder for run in find_runs([tmp_path])] == [folder]


def test_find_runs_does_not_follow_links(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(name="runs/a")
    (tmp_path / "runs" / "loop").symlink_to(tmp_path)
    assert [run.folder for run in find_runs([tmp_path / "runs"])] == [folder]


def test_find_runs_none_or_no_folder_is_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no runs"):
        find_runs([tmp_path])
    with pytest.raises(DataError, match="no such folder"):
        find_runs([tmp_path / "absent"])


def test_read_run_finished_has_facts_and_rates(make_run: Callable[..., Path]) -> None:
    run = read_run(make_run("libru", 7, parameters=123))
    assert (run.state, run.facts.cell, run.facts.seed, run.facts.parameters, run.profile) == (
        "finished",
        "libru",
        7,
        123,
        "none",
    )
    recorded = json.loads((run.folder / "wer.json").read_text(encoding="utf-8"))["words"]
    assert (run.words.ref, run.words.errors, run.words.rate) == (recorded["ref"], recorded["errors"], recorded["rate"])
    assert list(run.words.interval or ()) == recorded["interval"]


def test_read_run_still_training_says_how_far(make_run: Callable[..., Path]) -> None:
    run = read_run(make_run(finished=False, rate=0.2))
    assert (run.state, run.detail) == ("stopped", "epoch 4 of 10, dev WER 40.0 %")
    assert (run.facts.cell, run.facts.seed) == ("ligru", 1)


def test_read_run_in_its_first_epoch_is_unfinished(make_run: Callable[..., Path]) -> None:
    folder = make_run(finished=False)
    (folder / "metrics.jsonl").unlink()
    assert read_run(folder).detail == "no epoch finished"


def test_read_run_line_being_written_is_left_for_later(make_run: Callable[..., Path]) -> None:
    folder = make_run(finished=False)
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"epoch": 5, "dev_')
    assert read_run(folder).detail.startswith("epoch 4 of 10")
    assert len(read_metrics(folder)) == 4


def test_read_run_diverged_keeps_its_status(make_run: Callable[..., Path]) -> None:
    assert read_run(make_run(status="diverged")).state == "diverged"


def test_read_run_without_scores_is_not_scored(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    (folder / "wer.json").unlink()
    assert read_run(folder).state == "not scored"


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("config.json", "", "config.json: cannot read JSON"),
        ("config.json", "[]", "config.json: expected an object"),
        ("run.json", "{", "run.json: cannot read JSON"),
        ("run.json", '{"seed": "one"}', "run.json: seed: expected int"),
        ("run.json", '{"rtf": NaN}', "run.json: rtf: expected float"),
        ("run.json", '{"seed": true}', "run.json: seed: expected int"),
        ("run.json", '{"command": ["rm"]}', "run.json: command: expected str"),
        ("wer.json", '{"format": 2}', "wer.json: format 2, this version reads 1"),
        ("wer.json", '{"format": 1, "words": 3}', "words: expected an object"),
        ("wer.json", '{"format": 1, "words": {}, "chars": {}}', "wer.json: words: no rate"),
        ("wer.json", '{"format": 1, "words": {"rate": "0"}, "chars": {}}', "wer.json: words: rate: expected float"),
        ("wer.json", '{"format": 1, "words": {"rate": 0.1, "interval": [1]}, "chars": {}}', "interval: expected tuple"),
    ],
)
def test_read_run_unusable_file_is_broken_with_the_reason(
    make_run: Callable[..., Path], name: str, content: str, detail: str
) -> None:
    folder = make_run()
    (folder / name).write_text(content, encoding="utf-8")
    run = read_run(folder)
    assert run.state == "broken"
    assert detail in run.detail


def test_read_run_broken_metrics_is_broken(make_run: Callable[..., Path]) -> None:
    folder = make_run(finished=False)
    (folder / "metrics.jsonl").write_text("{}\nnot json\n", encoding="utf-8")
    assert read_run(folder).state == "broken"
    assert "metrics.jsonl" in read_run(folder).detail


def test_read_run_unknown_keys_of_a_later_version_are_no_fault(make_run: Callable[..., Path]) -> None:
    assert read_run(make_run(energy_kwh=0.3)).state == "finished"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser can list every folder")
def test_find_runs_unreadable_folder_is_broken(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run()
    (tmp_path / "locked").mkdir(mode=0)
    try:
        assert [run.state for run in find_runs([tmp_path])].count("broken") == 1
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_read_run_whose_lock_is_held_is_training(make_run: Callable[..., Path]) -> None:
    folder = make_run(finished=False)
    with run_lock(folder):
        assert read_run(folder).state == "training"
    assert read_run(folder).state == "stopped"


def test_find_runs_of_overlapping_folders_are_there_once(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folders = [make_run(name="a/x"), make_run(name="b/y")]
    assert [run.folder for run in find_runs([tmp_path / "a", tmp_path, tmp_path / "b"])] == folders


def test_read_run_that_diverged_says_where(make_run: Callable[..., Path]) -> None:
    folder = make_run(finished=False)
    for step in (9, 120):
        (folder / f"nonfinite-step-{step}.json").write_text("{}", encoding="utf-8")
    assert read_run(folder).detail == "epoch 4 of 10, dev WER 20.0 %, not finite at step 120"
