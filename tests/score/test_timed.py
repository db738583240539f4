"""Time-marked words and segments, against NIST's sclite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_ligru.errors import DataError
from asr_ligru.score.commands import score_files
from asr_ligru.score.texts import read_sides, read_texts

CASES = json.loads((Path(__file__).parent / "fixtures" / "ctm_cases.json").read_text(encoding="utf-8"))
STM = ";; comment\nw A bob 0.0 2.0 <o,f0,male> a b\nw A eve 3 5 c\n"
CTM = "w A 3.10 0.2 c\nw A 0.10 0.2 a 0.98\nw A 0.50 0.2 b\n"


def written(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed{case['seed']}")
def test_words_of_segments_are_those_of_sclite(tmp_path: Path, case: dict[str, object]) -> None:
    paths = [written(tmp_path, f"x.{kind}", "\n".join(case[kind]) + "\n") for kind in ("stm", "ctm")]
    assert read_sides(*paths)[1].texts == case["heard"]


def test_read_texts_stm_has_speakers_and_no_labels(tmp_path: Path) -> None:
    found = read_texts(written(tmp_path, "r.stm", STM), "ref")
    assert found.texts == {"w-A-0.0-2.0": "a b", "w-A-3-5": "c"}
    assert found.speakers == {"w-A-0.0-2.0": "bob", "w-A-3-5": "eve"}


def test_score_files_ctm_against_stm_and_by_recording(tmp_path: Path) -> None:
    hyp = written(tmp_path, "h.ctm", CTM)
    assert "%WER 0.00 [ 0 / 3," in score_files(written(tmp_path, "r.stm", STM), hyp)
    assert "%WER 0.00 [ 0 / 3," in score_files(written(tmp_path, "r.txt", "w a b c\n"), hyp)


def test_score_files_recording_without_words_is_missing(tmp_path: Path) -> None:
    ref, hyp = written(tmp_path, "r.stm", f"{STM}v A eve 0 1 d e\n"), written(tmp_path, "h.ctm", CTM)
    with pytest.raises(DataError, match="1 references have no hypothesis"):
        score_files(ref, hyp)
    assert "without hypothesis, counted as deletions:\n  v-A-0-1" in score_files(ref, hyp, allow_missing=True)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("x.ctm", "w A 0.1 0.2", "expected recording channel begin duration word"),
        ("x.ctm", "w A nan 0.2 a", "expected seconds, got 'nan'"),
        ("x.ctm", "w A -1 0.2 a", "expected seconds"),
        ("x.ctm", "w A * * <ALT_BEGIN>", "alternatives"),
        ("x.ctm", "w B 0.1 0.2 a", "two channels"),
        ("x.stm", "w A bob 0.0", "expected recording channel speaker"),
        ("x.stm", "w A bob 6 5 a", "before it begins"),
        ("x.stm", "w A bob 6 7 { a / b }", "alternatives"),
        ("x.stm", "w A bob 3 5 c", "there twice"),
    ],
)
def test_read_texts_malformed_times_are_named(tmp_path: Path, name: str, line: str, message: str) -> None:
    good = {"x.ctm": CTM, "x.stm": STM}[name]
    with pytest.raises(DataError, match=message):
        read_texts(written(tmp_path, name, good + line + "\n"), "ref")


def test_read_sides_words_of_an_unknown_recording_are_data_error(tmp_path: Path) -> None:
    ref, hyp = written(tmp_path, "r.stm", STM), written(tmp_path, "h.ctm", CTM.replace("w ", "z "))
    with pytest.raises(DataError, match="words of 1 recordings that have no segment"):
        read_sides(ref, hyp)
