"""Scoring two files: what is printed and written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.score.commands import score_files


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    refs = [
        {"id": "a", "text": "yes no yes", "speaker": "s1"},
        {"id": "b", "text": "no no", "speaker": "s2"},
        {"id": "c", "text": "", "speaker": "s2"},
    ]
    hyps = [
        {"id": "a", "hyp": "yes nah yes", "status": "ok"},
        {"id": "b", "hyp": "", "status": "bad_audio"},
        {"id": "c", "hyp": "oh", "status": "ok"},
    ]
    for name, lines in (("test.jsonl", refs), ("hyp.jsonl", hyps)):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return tmp_path / "test.jsonl", tmp_path / "hyp.jsonl"


def test_score_files_prints_everything_that_was_counted(files: tuple[Path, Path]) -> None:
    text = score_files(*files)
    for line in (
        "%WER 80.00 [ 4 / 5, 1 ins, 2 del, 1 sub ]",
        "%SER 100.00 [ 3 / 3 ]",
        "profile none; 3 utterances",
        "1 utterances have no reference words: no rate of their own, their insertions are in the sums",
        "1 not decoded, counted as deletions: 1 bad_audio",
        "(bootstrap over 3 utterances)",
        "(bootstrap over 2 speakers)",
        "c: 1 errors, 0 words, WER n/a (0 ref words)",
        "  REF: yes no  yes",
        "  HYP: yes nah yes",
        "  REF: no no",
        "  HYP: ** **",
    ):
        assert line in text


def test_score_files_names_the_profile(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert "profile upper;" in score_files(*files, "upper", out=tmp_path / "wer.json")
    assert json.loads((tmp_path / "wer.json").read_text(encoding="utf-8"))["profile"] == "upper"
    with pytest.raises(ConfigError, match="'uper'"):
        score_files(*files, "uper")


def test_score_files_missing_is_refused_or_listed(files: tuple[Path, Path]) -> None:
    ref, hyp = files
    hyp.write_text(hyp.read_text(encoding="utf-8").split("\n")[0] + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="2 references have no hypothesis"):
        score_files(ref, hyp)
    text = score_files(ref, hyp, allow_missing=True)
    assert "2 without hypothesis, counted as deletions:\n  b\n  c" in text


def test_score_files_of_three_formats_agree(files: tuple[Path, Path], tmp_path: Path) -> None:
    ref, _ = files
    (tmp_path / "hyp.trn").write_text("yes nah yes (a)\n(b)\noh (c)\n", encoding="utf-8")
    (tmp_path / "hyp.txt").write_text("a yes nah yes\nb\nc oh\n", encoding="utf-8")
    first = {score_files(ref, tmp_path / name).split("\n")[0] for name in ("hyp.jsonl", "hyp.trn", "hyp.txt")}
    assert first == {"%WER 80.00 [ 4 / 5, 1 ins, 2 del, 1 sub ]"}


def test_score_files_color_marks_the_edits(files: tuple[Path, Path]) -> None:
    assert "\x1b" not in score_files(*files)
    assert "\x1b[33mnah\x1b[0m" in score_files(*files, color=True)


def test_score_files_long_alignment_is_wrapped(tmp_path: Path) -> None:
    for name, word in (("ref.txt", "seven"), ("hyp.txt", "eleven")):
        (tmp_path / name).write_text(f"a {' '.join([word] * 60)}\n", encoding="utf-8")
    lines = score_files(tmp_path / "ref.txt", tmp_path / "hyp.txt").splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("eleven") for line in lines if line.startswith("  HYP")) == 60


def test_score_files_hostile_texts_drive_nothing(tmp_path: Path) -> None:
    hostile = "\x1b]52;c;aGk=\x07\u202e\x9b31m"
    for name, key, word in (("ref.jsonl", "text", "x"), ("hyp.jsonl", "hyp", hostile)):
        record = {"id": f"{hostile}\n", key: f"{word} {hostile}a", "speaker": hostile, "status": "ok"}
        (tmp_path / name).write_text(json.dumps(record) + "\n", encoding="utf-8")
    text = score_files(tmp_path / "ref.jsonl", tmp_path / "hyp.jsonl")
    assert not {c for c in text if not c.isprintable()} - {"\n"}


def test_score_files_groups_by_noise_where_it_is_known(tmp_path: Path) -> None:
    lines = [{"id": f"u{n}", "text": "yes no", "snr_db": snr_db} for n, snr_db in enumerate((12.5, 3, -1))]
    (tmp_path / "ref.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (tmp_path / "hyp.txt").write_text("u0 yes no\nu1 yes\nu2\n", encoding="utf-8")
    text = score_files(tmp_path / "ref.jsonl", tmp_path / "hyp.txt")
    _, _, table = text.partition("errors by signal-to-noise ratio\n")
    assert [line.split()[-1] for line in table.splitlines()[2:5]] == ["100.00", "50.00", "0.00"]


def test_score_files_phones_give_a_phone_error_rate(tmp_path: Path) -> None:
    (tmp_path / "ref.txt").write_text("a h# dh ix q bcl b ix\n", encoding="utf-8")
    (tmp_path / "hyp.txt").write_text("a sil dh ih sil b\n", encoding="utf-8")
    text = score_files(tmp_path / "ref.txt", tmp_path / "hyp.txt", "timit39")
    assert text.startswith("%PER 16.67 [ 1 / 6, 0 ins, 1 del, 0 sub ]\n%SER")
    assert "WER" not in text
