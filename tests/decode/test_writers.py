"""Each format as its readers read it: JSON, our own scoring, NIST's sclite where it is installed."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from asr_ligru.decode.transcript import Segment, Transcript, Word
from asr_ligru.decode.writers import WRITERS, Style
from asr_ligru.safety import printable
from asr_ligru.score.texts import read_texts

SCLITE = shutil.which("sclite") or shutil.which("sclite", path="/usr/lib/sctk/bin")
TEXTS = ("שלום עולם", "naïve 日本語", "rm \x1b[31m red", "a\u202eb", "--> 1 2 <b>", "&amp; {an8}", "=1+1")


def segment(text: str, start_s: float = 0.0, channel: int | None = None) -> Segment:
    """Return a segment whose words last 0.4 s each and begin every half second."""
    texts = text.split(" ") if text else []
    words = tuple(Word(t, start_s + 0.5 * n, start_s + 0.5 * n + 0.4, 0.875) for n, t in enumerate(texts))
    end_s = start_s + max(1.0, 0.5 * len(words))
    return Segment(start_s, end_s, text, words, 0.875, -1.25, ((text, -1.25),), channel)


def transcript(*texts: str, source: str = "dir/x.wav") -> Transcript:
    segments = tuple(segment(text, 10.0 * number) for number, text in enumerate(texts))
    return Transcript(source, 10.0 * len(texts), segments)


STYLE = Style("x")


def test_txt_is_a_line_for_each_segment() -> None:
    assert WRITERS["txt"](transcript("a b", "", "c"), STYLE) == "a b\nc\n"
    assert WRITERS["txt"](transcript("a b", "c"), replace(STYLE, label="d/x.wav")) == "d/x.wav\ta b\nd/x.wav\tc\n"
    assert WRITERS["txt"](transcript(), STYLE) == "\n"
    assert WRITERS["txt"](transcript(), replace(STYLE, label="x")) == "x\t\n"


def test_json_has_what_is_asked_for() -> None:
    heard = transcript("a b")
    plain = json.loads(WRITERS["json"](heard, STYLE))
    assert plain == {
        "id": "dir/x.wav",
        "status": "ok",
        "duration_s": 10.0,
        "text": "a b",
        "segments": [{"start_s": 0.0, "end_s": 1.0, "text": "a b"}],
    }
    full = json.loads(WRITERS["json"](heard, replace(STYLE, word_times=True, confidence=True)))
    assert full["segments"][0]["confidence"] == 0.875
    assert full["segments"][0]["words"][1] == {"text": "b", "start_s": 0.5, "end_s": 0.9, "confidence": 0.875}
    other = replace(heard, segments=(replace(segment("a b", channel=1), n_best=(("a b", -1.25), ("a", -2.0))),))
    found = json.loads(WRITERS["json"](other, STYLE))["segments"][0]
    assert (found["channel"], found["n_best"][1]) == (1, {"text": "a", "score": -2.0})


@pytest.mark.parametrize("text", TEXTS)
def test_json_and_tsv_of_any_text_are_read_back_equal(text: str) -> None:
    heard = transcript(text, source=f"{text}.wav")
    style = replace(STYLE, alone=False)
    line = WRITERS["json"](heard, style)
    assert line.count("\n") == 1
    assert printable(line[:-1]) == line[:-1]
    assert (json.loads(line)["text"], json.loads(line)["id"]) == (text, f"{text}.wav")
    rows = list(csv.reader(io.StringIO(WRITERS["tsv"](heard, STYLE)), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["file", "channel", "start_s", "end_s", "text"]
    assert rows[1] == [printable(f"{text}.wav"), "mix", "0.000", f"{heard.segments[0].end_s:.3f}", printable(text)]


def test_tsv_has_rows_of_words_with_confidence() -> None:
    heard = transcript("a b")
    text = WRITERS["tsv"](heard, replace(STYLE, word_times=True, confidence=True, alone=False))
    assert text == "dir/x.wav\tmix\t0.000\t0.400\t0.875\ta\ndir/x.wav\tmix\t0.500\t0.900\t0.875\tb\n"


@pytest.mark.parametrize("kind", ["trn", "ctm"])
@pytest.mark.parametrize("utt_id", ["an251-fash-b", "שלום", "a (1) b", "x\ny", ";;x", "a%20b", "\udcffx", "{a}"])
def test_trn_and_ctm_are_read_back_by_scoring(kind: str, utt_id: str, tmp_path: Path) -> None:
    heard = transcript("שלום עולם", "{ ( x ) }", "@ ;; 50%")
    (tmp_path / f"hyp.{kind}").write_text(WRITERS[kind](heard, replace(STYLE, utt_id=utt_id)), encoding="utf-8")
    found = read_texts(tmp_path / f"hyp.{kind}", "hyp").texts
    assert len(found) == 1
    (got_id,) = found
    assert (got_id == utt_id) == (utt_id in ("an251-fash-b", "שלום"))
    assert found[got_id] == "שלום עולם %7B %28 x %29 %7D %40 %3B; 50%25"


def test_trn_of_nothing_and_of_channels() -> None:
    assert WRITERS["trn"](transcript(), STYLE) == "(x)\n"
    both = Transcript("x.wav", 9.0, (segment("a", 0.0, 0), segment("b", 0.5, 1), segment("c", 5.0, 0)))
    assert WRITERS["trn"](both, STYLE) == "a c (x-0)\nb (x-1)\n"
    assert [line.split()[1] for line in WRITERS["ctm"](both, STYLE).splitlines()] == ["1", "1", "2"]


def test_ctm_has_times_and_confidence_of_words() -> None:
    assert WRITERS["ctm"](transcript("a b"), STYLE) == "x 1 0.00 0.40 a 0.88\nx 1 0.50 0.40 b 0.88\n"


@pytest.mark.skipif(SCLITE is None, reason="sclite is not installed (Debian package sctk)")
def test_trn_and_ctm_are_accepted_by_sclite(tmp_path: Path) -> None:
    heard = {"u1": "a b c d", "u2": "(x) שלום {y}", "u3": ""}
    for kind in ("trn", "ctm"):
        texts = [WRITERS[kind](transcript(text), Style(utt_id)) for utt_id, text in heard.items()]
        (tmp_path / f"hyp.{kind}").write_text("".join(texts), encoding="utf-8")
    (tmp_path / "ref.trn").write_text("a b x d (u1)\n%28x%29 שלום %7By%7D (u2)\nz (u3)\n", encoding="utf-8")
    (tmp_path / "ref.stm").write_text(
        "u1 1 s 0 9 a b x d\nu2 1 s 0 9 %28x%29 שלום %7By%7D\nu3 1 s 0 9 z\n", encoding="utf-8"
    )
    for ref, hyp in (("ref.trn trn", "hyp.trn trn -i wsj"), ("ref.stm stm", "hyp.ctm ctm")):
        command = f"{SCLITE} -r {ref} -h {hyp} -o sum stdout"
        done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, encoding="utf-8", errors="replace")
        (line,) = [line for line in done.stdout.splitlines() if "Sum/Avg" in line]
        counts = line.replace("|", " ").split()
        assert counts[1:3] == ["3", "8"], done.stdout
        assert counts[4:7] == ["12.5", "12.5", "0.0"], done.stdout
