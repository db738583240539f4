"""Readers of references and hypotheses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_ligru.errors import DataError
from asr_ligru.score.texts import read_texts


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def test_read_texts_manifest_gives_text_and_speaker(tmp_path: Path) -> None:
    line = {"id": "a", "audio_filepath": "a.wav", "duration": 1.0, "text": "\u05db\u05df no", "speaker": "s1"}
    found = read_texts(written(tmp_path / "test.jsonl", f"{json.dumps(line)}\n"), "ref")
    assert (found.texts, found.speakers, found.failed) == ({"a": "\u05db\u05df no"}, {"a": "s1"}, {})


def test_read_texts_decoder_output_gives_either_side_and_failures(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "ref": "x y", "hyp": "x", "status": "ok"},
        {"id": "b", "ref": "z", "hyp": "", "status": "bad_audio"},
    ]
    path = written(tmp_path / "hyp.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    assert read_texts(path, "ref").texts == {"a": "x y", "b": "z"}
    assert read_texts(path, "hyp").texts == {"a": "x", "b": ""}
    assert read_texts(path, "hyp").failed == {"b": "bad_audio"}


def test_read_texts_trn_takes_the_last_parentheses(tmp_path: Path) -> None:
    path = written(tmp_path / "a.trn", "oh (well) five (an4-1)\r\n(an4-2)\n\n")
    assert read_texts(path, "hyp").texts == {"an4-1": "oh (well) five", "an4-2": ""}


def test_read_texts_kaldi_line_may_be_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "text", "\ufeffa one two\nb\nc \u05db\u05df\n")
    assert read_texts(path, "ref").texts == {"a": "one two", "b": "", "c": "\u05db\u05df"}


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.jsonl", "{", "line 2"),
        ("a.jsonl", "[1]", "expected an object in braces, got list"),
        ("a.jsonl", "[" * 100_000, "nested too deeply"),
        ("a.jsonl", '{"id": 3, "text": "x"}', "key 'id': expected a string, got int"),
        ("a.jsonl", '{"id": "c"}', "key 'text': expected a string, missing"),
        ("a.jsonl", '{"id": "a", "text": "x"}', "duplicate id 'a', first on line 1"),
        ("a.trn", "no id", r"expected words \(id\)"),
        ("a.trn", "{ a / b } (c)", "alternatives"),
        ("text", b"c \xff", "not UTF-8: byte 3"),
    ],
)
def test_read_texts_bad_line_is_named(tmp_path: Path, name: str, line: str | bytes, message: str) -> None:
    good = {"a.jsonl": '{"id": "a", "text": "x"}', "a.trn": "x (a)", "text": "a x"}[name]
    raw = line if isinstance(line, bytes) else line.encode()
    with pytest.raises(DataError, match=message) as caught:
        read_texts(written(tmp_path / name, good.encode() + b"\n" + raw + b"\n"), "ref")
    assert "1 unreadable line" in str(caught.value)
    assert "line 2" in str(caught.value)


def test_read_texts_many_findings_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="200 unreadable lines") as caught:
        read_texts(written(tmp_path / "a.trn", "x\n" * 200), "ref")
    assert "and 150 more" in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_read_texts_empty_file_is_data_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="no utterances"):
        read_texts(written(tmp_path / "text", content), "ref")


def test_read_texts_absent_file_is_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_texts(tmp_path / "no.jsonl", "ref")


def test_read_texts_endless_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1 is longer"):
        read_texts(written(tmp_path / "text", "a " + "x" * (5 << 20)), "ref")
