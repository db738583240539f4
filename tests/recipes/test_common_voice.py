"""Common Voice: the tables' splits, MP3 clips, and sentences as they are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import resources
from asr_ligru.data.prepare import prepare_corpus
from asr_ligru.errors import DataError
from tests.recipes.fakes import common_voice, left_out, lines, prepared, read, tone


def test_prepare_fake_has_the_tables_splits(tmp_path: Path) -> None:
    report, splits = prepared("common_voice", tmp_path)
    assert splits == {
        "train": [("cv_it_1", "L'altro giorno, così."), ("cv_it_2", "Sì")],
        "dev": [("cv_it_3", "Così così")],
        "test": [("cv_it_4", "Un giorno")],
        "validated": [*splits["train"], *splits["dev"], *splits["test"]],
    }
    assert [u.speaker for u in read(report, "train")] == ["anna", "bea"]
    assert report.left_out == []
    assert report.notes[0] == "1 clips of other.tsv are in no split"
    assert "not for training" in report.notes[1]
    assert read(report, "train")[0].duration_s == pytest.approx(1.0, abs=0.1)  # MP3 pads


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    common_voice(tmp_path / "in")
    folder = tmp_path / "in" / "cv-corpus" / "it"
    with (folder / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("anna\tcut\nanna\tcv_it_9\tSenza clip\t2\tit\n")
    tone(folder / "clips" / "cv_it_8.mp3")
    report, splits = prepared("common_voice", tmp_path, tmp_path / "in")
    assert left_out(report) == [
        ("", "line 4"),
        ("cv_it_8", "no transcript names it"),
        ("cv_it_9", "cannot open audio file"),
    ]
    assert len(splits["train"]) == 2


def test_prepare_of_several_languages_or_a_strange_table_is_refused(tmp_path: Path) -> None:
    common_voice(tmp_path / "in")
    lines(tmp_path / "in" / "cv-corpus" / "de" / "validated.tsv", "client_id\tpath\tsentence")
    with pytest.raises(DataError, match="several languages: de, it"):
        prepare_corpus("common_voice", tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="no usable utterance"):
        prepare_corpus("common_voice", tmp_path / "in" / "cv-corpus" / "de", tmp_path / "out")
    lines(tmp_path / "in" / "cv-corpus" / "it" / "dev.tsv", "client_id\tpath")
    with pytest.raises(DataError, match="without the column sentence"):
        prepare_corpus("common_voice", tmp_path / "in" / "cv-corpus" / "it", tmp_path / "out")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ('"Hallo"', "Hallo"),
        ('"Ja", sagte er, "nein"', '"Ja", sagte er, "nein"'),
        ('""Doppelt""', "Doppelt"),
        ("“Schräg”\u00a0 hier", '"Schräg" hier'),
        ("e\u0301te\u0301", "été"),
        ("", ""),
    ],
)
def test_clean_sentence_keeps_words_and_inner_quotes(sentence: str, expected: str) -> None:
    assert resources.recipe_module("common_voice").clean(sentence) == expected
