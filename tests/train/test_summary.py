"""The lines at the end of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asr_ligru.score.wer import score
from asr_ligru.train.summary import summary

CONFIG = {"cell": {"name": "ligru"}, "corpus": {"dir": "data/my corpus"}, "train": {"max_grad_norm": 5.0}}
METRICS = [
    {"epoch": 1, "grad_norm": 1.0, "grad_max": 9.25, "growth": [1.0, 2.5], "train_s": 30.0, "data_wait": 0.1},
    {"epoch": 2, "grad_norm": 1.0, "grad_max": 3.0, "growth": [1.0, 1.25], "train_s": 10.0, "data_wait": 0.02},
    {"epoch": 3, "grad_norm": 1.0, "grad_max": 2.0},
]
FACTS = {"split": "test", "best_epoch": 2, "epochs": 3, "dev_wer": 0.1, "temperature": 1.414}
FACTS |= {"word_ece": 0.021, "word_ece_raw": 0.034, "word_confidence": 0.95, "word_right": 0.97}
FACTS |= {"skipped_batches": 1, "left_out": 0, "status": "done"}


def write_run(folder: Path, config: dict[str, Any] = CONFIG, **facts: Any) -> Path:
    scores = score({"a": "x y", "b": "z"}, {"a": "x", "b": "z"}).to_json()
    for name, tree in (("config", config), ("run", FACTS | facts), ("wer", scores)):
        (folder / f"{name}.json").write_text(json.dumps(tree), encoding="utf-8")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(m) + "\n" for m in METRICS), encoding="utf-8")
    return folder


def test_summary_has_six_lines_and_the_next_command(tmp_path: Path) -> None:
    lines = summary(write_run(tmp_path)).splitlines()
    assert lines == [
        "best epoch   2 of 3; dev WER of the kept model 10.00 %",
        "test WER     33.33 % (0.00 % to 50.00 %), CER 50.00 %",
        "calibration  expected error 3.40 %, at temperature 1.41 2.10 %; sure of 95.00 %, right 97.00 % of dev's words",
        "gradients    largest norm 9.25, median of the epochs 3, clipped at 5; lambda 1.25, at most 2.50",
        "data         waited for 8.00 % of 40 s of training",
        "skipped      1 batches; 0 utterances left out",
        f"next         asr-ligru decode {tmp_path} YOUR.wav",
    ]


def test_summary_with_utterances_left_out_sends_to_validate(tmp_path: Path) -> None:
    text = summary(write_run(tmp_path, left_out=3))
    assert "3 utterances left out" in text
    assert text.endswith("next         asr-ligru validate 'data/my corpus'\n")


def test_summary_of_a_run_of_an_older_version_says_what_is_unknown(tmp_path: Path) -> None:
    write_run(tmp_path, {"train": {"max_grad_norm": None}}, word_ece=None)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "grad_norm": 1.0}\n', encoding="utf-8")
    (tmp_path / "wer.json").unlink()
    lines = summary(tmp_path).splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines[1:5]] == [
        "not scored: trained, but no wer.json",
        "not measured",
        "not measured",
        "not measured",
    ]


def test_summary_hostile_folder_drives_no_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[2J"
    folder.mkdir()
    assert "\x1b" not in summary(write_run(folder))
