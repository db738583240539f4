"""Hypotheses in files, aligned, elected, tuned and written again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.score.rover import Heard, Vote
from asr_ligru.score.rover_files import System, align_systems, read_system, read_vote, render, write_vote
from asr_ligru.score.rover_tune import development_texts, tune_vote, votes


def write_jsonl(path: Path, lines: dict[str, list[tuple[str, float]] | None]) -> Path:
    """Write what ``decode --format json --confidence`` does; None is a recording that failed."""
    records = [
        {"id": utt_id, "status": "no audio", "text": "", "segments": []}
        if words is None
        else {
            "id": utt_id,
            "status": "ok",
            "text": " ".join(word for word, _ in words),
            "segments": [{"words": [{"text": word, "confidence": sure} for word, sure in words]}],
        }
        for utt_id, words in lines.items()
    ]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def test_read_system_formats_give_words_and_confidences(tmp_path: Path) -> None:
    sure = read_system(write_jsonl(tmp_path / "a.jsonl", {"u": [("GO", 0.5), ("ON", 0.25)], "v": None}))
    assert (sure.words, sure.unsure, sure.failed) == (
        {"u": [Heard("GO", 0.5), Heard("ON", 0.25)]},
        0,
        {"v": "no audio"},
    )
    (tmp_path / "b.ctm").write_text("u 1 0.0 0.5 GO 0.75\nu 1 0.5 0.5 ON NA\n", encoding="utf-8")
    timed = read_system(tmp_path / "b.ctm")
    assert (timed.words, timed.unsure) == ({"u": [Heard("GO", 0.75), Heard("ON", 1.0)]}, 1)
    (tmp_path / "c.trn").write_text("GO ON (u)\n(v)\n", encoding="utf-8")
    plain = read_system(tmp_path / "c.trn")
    assert (plain.words, plain.unsure) == ({"u": [Heard("GO"), Heard("ON")], "v": []}, 2)


@pytest.mark.parametrize("confidence", ['"high"', "1.5", "NaN", "true"])
def test_read_system_confidence_out_of_range_names_its_line(tmp_path: Path, confidence: str) -> None:
    line = f'{{"id": "u", "text": "GO", "segments": [{{"words": [{{"text": "GO", "confidence": {confidence}}}]}}]}}\n'
    (tmp_path / "x.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=r"line 1: .*confidence"):
        read_system(tmp_path / "x.jsonl")


def test_align_systems_missing_utterances_are_voted_on_by_the_others(tmp_path: Path) -> None:
    a = read_system(write_jsonl(tmp_path / "a.jsonl", {"u": [("GO", 0.9)], "v": [("NO", 0.9)], "w": None}))
    b = read_system(write_jsonl(tmp_path / "b.jsonl", {"u": [("GO", 0.9)], "v": None, "w": None}))
    networks = align_systems([a, b])
    assert networks.missing == [[], ["v"]]
    assert networks.failed == {"w": "no audio"}
    out = tmp_path / "all.jsonl"
    out.write_text(render(networks, Vote()), encoding="utf-8")
    again = read_system(out)
    assert again.words == {"u": [Heard("GO", 1.0)], "v": [Heard("NO", 1.0)]}
    assert again.failed == {"w": "no audio"}
    assert render(networks, Vote(), as_trn=True) == "GO (u)\nNO (v)\n(w)\n"
    with pytest.raises(ConfigError, match="one system"):
        align_systems([a])


def test_tune_vote_finds_that_confidence_knows_better(tmp_path: Path) -> None:
    systems = [
        read_system(write_jsonl(tmp_path / f"{n}.jsonl", {"u": [(word, sure)], "v": [("ON", 0.9)]}))
        for n, (word, sure) in enumerate([("NO", 0.2), ("NO", 0.1), ("GO", 0.9)])
    ]
    found = tune_vote(align_systems(systems), {"u": "GO", "v": "ON"})
    assert len(found) == len(votes()) == 221
    assert (found[0].scores.words.errors, found[-1].scores.words.errors) == (0, 1)
    assert found[0].vote.alpha == 0.6
    write_vote(tmp_path / "vote.json", found[0].vote, {})
    assert read_vote(tmp_path / "vote.json") == found[0].vote
    (tmp_path / "vote.json").write_text('{"decoder": "beam"}', encoding="utf-8")
    with pytest.raises(DataError, match="not a vote"):
        read_vote(tmp_path / "vote.json")


def test_development_texts_that_are_the_test_set_are_refused(tmp_path: Path) -> None:
    for name in ("dev", "test", "mixed"):
        (tmp_path / f"{name}.trn").write_text(f"GO ({'test' if name == 'mixed' else name}-1)\n", encoding="utf-8")
    assert development_texts(tmp_path / "dev.trn") == {"dev-1": "GO"}
    for name in ("test", "mixed"):
        with pytest.raises(ConfigError, match="not chosen on the test set"):
            development_texts(tmp_path / f"{name}.trn")


def test_align_systems_recording_of_many_hours_is_refused_by_name() -> None:
    systems = [System({"u": [Heard("GO")] * count, "v": [Heard("NO")]}) for count in (15_000, 3, 15_000)]
    with pytest.raises(DataError, match="u: 15000 and 15000 words are too many to align"):
        align_systems(systems)
