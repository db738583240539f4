"""AMI: words of each headset's segments, in the published partition."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru import resources
from asr_ligru.data.prepare import prepare_corpus
from asr_ligru.errors import DataError
from tests.recipes.fakes import left_out, lines, prepared, read, tone

HEAD = '<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>'
NITE = 'xmlns:nite="http://nite.sourceforge.net/"'
MEETINGS = {"ES2002a": "train", "ES2011c": "dev", "EN2002b": "test"}


def _words(meeting: str, letter: str) -> list[str]:
    name = f"{meeting}.{letter}"
    return [
        f'<w nite:id="{name}.words0" starttime="0.5" endtime="0.9">I\'m</w>',
        f'<w nite:id="{name}.words1" starttime="0.9" endtime="0.9" punc="true">,</w>',
        f'<vocalsound nite:id="{name}.words2" starttime="0.9" endtime="1.2" type="laugh"/>',
        f'<w nite:id="{name}.words3" starttime="1.2" endtime="1.4">Zo&#235;</w>',
    ]


def _segment(meeting: str, letter: str, number: int, begin: float, end: float, first: int, last: int) -> str:
    ids = "..".join(f"id({meeting}.{letter}.words{word})" for word in dict.fromkeys((first, last)))
    return (
        f'<segment nite:id="{meeting}.sync.{number}" transcriber_start="{begin}" transcriber_end="{end}">'
        f'<nite:child href="{meeting}.{letter}.words.xml#{ids}"/></segment>'
    )


def _fake(root: Path) -> None:
    notes = root / "ami_public_manual"
    people = [(m, letter, n) for m in MEETINGS for n, letter in enumerate("AB" if m == "ES2002a" else "A")]
    rows = [
        f'<meeting observation="{meeting}">'
        + "".join(
            f'<speaker nxt_agent="{a}" channel="{n}" global_name="M{a}{m}"/>' for m, a, n in people if m == meeting
        )
        + "</meeting>"
        for meeting in MEETINGS
    ]
    lines(notes / "corpusResources" / "meetings.xml", HEAD, f"<nite:root {NITE}>", *rows, "</nite:root>")
    for meeting, letter, headset in people:
        tone(root / "amicorpus" / meeting / "audio" / f"{meeting}.Headset-{headset}.wav", 2.0)
        name = f"{meeting}.{letter}"
        segments = [_segment(meeting, letter, 0, 0.4, 1.5, 0, 3), _segment(meeting, letter, 1, 1.5, 1.75, 2, 2)]
        for kind, body in (("words", _words(meeting, letter)), ("segments", segments)):
            lines(notes / kind / f"{name}.{kind}.xml", HEAD, f"<nite:root {NITE}>", *body, "</nite:root>")


def test_prepare_fake_has_the_words_of_each_segment(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    report, splits = prepared("ami", tmp_path, tmp_path / "in")
    assert splits == {
        "train": [("ES2002a-A-0000", "I'm Zoë"), ("ES2002a-B-0000", "I'm Zoë")],
        "dev": [("ES2011c-A-0000", "I'm Zoë")],
        "test": [("EN2002b-A-0000", "I'm Zoë")],
    }
    second = read(report, "train")[1]
    assert (second.offset_s, second.duration_s, second.speaker) == (0.4, 1.1, "MBES2002a")
    assert second.audio_path.name == "ES2002a.Headset-1.wav"
    assert {reason for _, reason in left_out(report)} == {"no words"}
    assert len(report.left_out) == 4  # the laughter of each


def test_prepare_fake_what_does_not_fit_is_recorded(tmp_path: Path) -> None:
    _fake(tmp_path / "in")
    notes = tmp_path / "in" / "ami_public_manual"
    (notes / "words" / "ES2002a.B.words.xml").unlink()
    (tmp_path / "in" / "amicorpus" / "EN2002b" / "audio" / "EN2002b.Headset-0.wav").unlink()
    tone(tmp_path / "in" / "amicorpus" / "ES2002a" / "audio" / "ES2002a.Headset-7.wav")
    path = notes / "segments" / "ES2011c.A.segments.xml"
    path.write_text(path.read_text(encoding="utf-8").replace("words3", "words99"), encoding="utf-8")
    report, splits = prepared("ami", tmp_path, tmp_path / "in")
    assert [bad for bad in left_out(report) if bad[1] != "no words"] == [
        ("ES2002a.B", "no annotations"),
        ("ES2011c-A-0000", "a segment without times or words that are there"),
        ("EN2002b-A-0000", "cannot open audio file"),
        ("ES2002a.Headset-7", "no transcript names it"),
    ]
    assert [len(found) for found in splits.values()] == [1, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [("<a><b></a>", "not XML"), ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type")],
)
def test_prepare_fake_with_odd_xml_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    _fake(tmp_path / "in")
    lines(tmp_path / "in" / "ami_public_manual" / "words" / "ES2002a.A.words.xml", content)
    with pytest.raises(DataError, match=message) as caught:
        prepare_corpus("ami", tmp_path / "in", tmp_path / "out")
    assert "ES2002a.A.words.xml" in str(caught.value)


def test_partition_is_the_one_lhotse_has() -> None:
    published = pytest.importorskip("lhotse.recipes.ami")
    split_of = resources.recipe_module("ami", "meetings").split_of
    meetings = [meeting for session in published.MEETINGS.values() for meeting in session]
    for split, expected in published.PARTITIONS["full-corpus-asr"].items():
        assert sorted(meeting for meeting in meetings if split_of(meeting) == split) == sorted(expected)
