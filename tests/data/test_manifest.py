"""Manifests survive any text, and what is wrong with one is said line by line."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from asr_ligru.data.manifest import MAX_FINDINGS, read_manifest, write_bad_utterances, write_manifest
from asr_ligru.errors import DataError
from asr_ligru.typing import BadUtterance, Utterance

GOOD = {"id": "a", "audio_filepath": "a.wav", "offset": 0.5, "duration": 1.5, "text": "HELLO", "speaker": "s"}

TEXTS = [
    "",
    "לא כן כן",
    "grüße 名前",
    "line\nfeed\ttab\r",
    "next\x85line\u2028separator\u2029",
    "\x1b[31mred\x7f",
    "\u202eright to left",
    "e\u0301 nfd",
    "😀",
    '"quotes" \\ back',
    "\ufeffbom",
]


def _write(path: Path, *lines: object) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("text", TEXTS)
def test_write_then_read_returns_equal_utterances(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.jsonl"
    utterances = [
        Utterance(f"id {text}1", tmp_path / "wav" / "a.wav", 1.5, text, text, 0.25, snr_db=-3.5),
        Utterance(f"id {text}2", Path("/elsewhere/b.wav"), 0.1, text),
    ]
    write_manifest(path, utterances)
    assert read_manifest(path) == utterances
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_write_audio_below_the_manifest_is_relative(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Utterance("a", tmp_path / "wav" / "a.wav", 1.0, "")])
    assert json.loads(path.read_text(encoding="utf-8"))["audio_filepath"] == "wav/a.wav"


def test_read_moved_manifest_finds_relative_audio(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", tmp_path / "a.wav", 1.0, "")])
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "m.jsonl").rename(moved / "m.jsonl")
    assert read_manifest(moved / "m.jsonl")[0].audio_path == moved / "a.wav"


def test_read_optional_keys_take_their_defaults(tmp_path: Path) -> None:
    line = {key: GOOD[key] for key in ("id", "audio_filepath", "duration", "text")}
    (utterance,) = read_manifest(_write(tmp_path / "m.jsonl", line))
    assert (utterance.offset_s, utterance.speaker, utterance.snr_db) == (0.0, "", None)


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("{", "not JSON: .* column 2"),
        ('{"id": "a"} x', "not JSON: Extra data"),
        ("[1]", "expected an object in braces, got list"),
        ({**GOOD, "id": 7}, "id: expected a string, got int"),
        ({**GOOD, "snr_db": 5000}, "snr_db: expected decibels, got 5000"),
        ({**GOOD, "duration": "1"}, "duration: expected a number, got str"),
        ({**GOOD, "duration": True}, "duration: expected a number, got bool"),
        ({**GOOD, "text": None}, "text: expected a string, got NoneType"),
        ({k: v for k, v in GOOD.items() if k != "text"}, "missing key 'text'"),
        ({**GOOD, "durations": 1}, "unknown key 'durations' .*did you mean 'duration'"),
        ('{"id": "a", "id": "b"}', "duplicate key 'id'"),
        (json.dumps(GOOD).replace("1.5", "NaN"), "NaN is not a number"),
        (json.dumps(GOOD).replace("1.5", "1e999"), "duration: expected seconds, above 0"),
        (json.dumps(GOOD).replace("1.5", "9" * 400), "duration: expected seconds, above 0"),
        (json.dumps(GOOD).replace("1.5", "9" * 5000), "line 1: "),
        ({**GOOD, "duration": 0}, "duration: expected seconds, above 0"),
        ({**GOOD, "offset": -0.1}, "offset: expected seconds, at least 0"),
        ({**GOOD, "id": ""}, "id: empty"),
        ({**GOOD, "id": "\ud800"}, "surrogate pair at position 0"),
        ({**GOOD, "audio_filepath": "a\0.wav"}, "NUL"),
        ({**GOOD, "audio_filepath": "sph2pipe a.sph |"}, "commands, archives and addresses"),
        ({**GOOD, "audio_filepath": "ark:feats.ark:7"}, "commands, archives and addresses"),
        ({**GOOD, "audio_filepath": "https://host/a.wav"}, "commands, archives and addresses"),
        ("[" * 100_000, "line 1: "),
        ({**GOOD, "text": "x" * (1 << 20)}, "longer than 1048576 bytes"),
    ],
)
def test_read_wrong_line_is_named_with_its_number(tmp_path: Path, line: object, finding: str) -> None:
    with pytest.raises(DataError, match=r"(?s)1 finding.*line 1: ") as caught:
        read_manifest(_write(tmp_path / "m.jsonl", line))
    assert caught.match(finding)


def test_read_bytes_that_are_not_utf8_are_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(
        json.dumps(GOOD).encode() + b"\n" + json.dumps({**GOOD, "id": "b\xe9"}, ensure_ascii=False).encode("latin-1")
    )
    with pytest.raises(DataError, match="line 2: not UTF-8: byte 10"):
        read_manifest(path)


def test_read_duplicate_id_names_both_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: duplicate id 'a', first on line 1"):
        read_manifest(_write(tmp_path / "m.jsonl", GOOD, {**GOOD, "id": "b"}, GOOD))


def test_read_many_findings_are_cut_and_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_manifest(_write(tmp_path / "m.jsonl", *["{"] * 75, GOOD))
    message = str(caught.value)
    assert "75 findings" in message
    assert "and 25 more" in message
    assert message.count("line ") == MAX_FINDINGS


def test_read_finding_with_escape_sequence_is_printable(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_manifest(_write(tmp_path / "m.jsonl", {**GOOD, "\x1b]0;title\x07": 1}))
    assert "\x1b" not in str(caught.value)
    assert "\x07" not in str(caught.value)


def test_read_blank_lines_and_byte_order_mark_are_no_findings(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("\ufeff" + json.dumps(GOOD) + "\r\n\r\n  \n", encoding="utf-8")
    assert len(read_manifest(path)) == 1


@pytest.mark.parametrize("make", [lambda p: p, lambda p: p.mkdir() or p, lambda p: p.write_text("") or p])
def test_read_no_manifest_or_an_empty_one_is_refused(tmp_path: Path, make: object) -> None:
    assert callable(make)
    path = tmp_path / "m.jsonl"
    make(path)
    with pytest.raises(DataError):
        read_manifest(path)


@pytest.mark.parametrize("seed", range(300))
def test_read_mutated_manifest_is_refused_or_read(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray("".join(json.dumps({**GOOD, "id": str(i)}) + "\n" for i in range(5)).encode())
    for _ in range(rng.randint(1, 8)):
        position = rng.randrange(len(data))
        data[position : position + rng.randint(0, 3)] = bytes(rng.randrange(256) for _ in range(rng.randint(0, 3)))
    path = tmp_path / "m.jsonl"
    path.write_bytes(data)
    try:
        utterances = read_manifest(path)
    except DataError:
        return
    assert len({utterance.utt_id for utterance in utterances}) == len(utterances)


def test_write_bad_utterances_is_one_json_object_a_line(tmp_path: Path) -> None:
    bad = [BadUtterance("a\u2028b", "prepare", "line\nfeed", "x.wav"), BadUtterance("c", "audio", "cut", "y.wav")]
    write_bad_utterances(tmp_path / "bad.jsonl", bad)
    lines = (tmp_path / "bad.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [record.to_json() for record in bad]
