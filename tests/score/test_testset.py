"""What a run's manifest adds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_ligru.errors import DataError
from asr_ligru.score.runs import read_run
from asr_ligru.score.testset import read_test_set

LINE = {"id": "u0", "audio_filepath": "a.wav", "duration": 1.0, "text": "x", "speaker": "s", "snr_db": 5}


def test_read_test_set_is_found_beside_a_folder_above_the_run(
    make_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(name="exp/an4/a")
    assert read_test_set(read_run(run)) == {}
    (tmp_path / "data" / "demo").mkdir(parents=True)
    (tmp_path / "data" / "demo" / "test.jsonl").write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    assert read_test_set(read_run(run))["u0"].speaker == "s"
    assert read_test_set(read_run(make_run(name="exp/an4/b", split="dev"))) == {}


def test_read_test_set_malformed_manifest_is_data_error(make_run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "data" / "demo").mkdir(parents=True)
    (tmp_path / "data" / "demo" / "test.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="1 finding"):
        read_test_set(read_run(make_run()))
