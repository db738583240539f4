"""Hostile ids, speakers and transcripts through every verb: nothing outside of the folders given, nothing that acts."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from asr_ligru import cli
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.typing import Utterance
from tests.tiny_corpus import OVERRIDES, PITCH_HZ, SAMPLE_RATE_HZ, say

PIECES = (
    "../../evil", "/etc/evil", "CON", "a" * 300, "*", "~", " ", "\u05d0\u05d1", "e" + "\u0301" * 50, "\U0001f600",
    "\u202e", "\u2028", "\ufeff", "\n", "\r", "\t", "\0", "\x7f", "\x1b[2J", "\x1b]52;c;ZQ==\a", "\x9b31m",
    "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\\input{/etc/passwd}", "\\write18{id}", "{{7*7}}", "%s%n",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"', "'", "&lt;", "</td>", "${oc.env:HOME}",
    "$(touch canary)", "`touch canary`", "| touch canary |", "; touch canary",
)  # fmt: skip
SECRET = "planted-secret"
SECRETS = (*(f"PLANTED_{n}" for n in range(16)), "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "WANDB_API_KEY", "PASSWORD")
HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def hostile(draw: random.Random, taken: set[str]) -> str:
    """Return a text that was not drawn before."""
    while True:
        text = "".join(draw.choices(PIECES, k=draw.randint(1, 4)))
        if text not in taken and text.strip():
            taken.add(text)
            return text


def write_corpus(folder: Path, num_utterances: int) -> None:
    """Write splits over a few short files; ids, speakers and every second transcript are hostile."""
    draw, taken = random.Random(5), set[str]()
    (folder / "wav").mkdir(parents=True)
    words = list(PITCH_HZ)
    for number, word in enumerate(words):
        audio.write(folder / "wav" / f"{number}.wav", say([word], number), SAMPLE_RATE_HZ)
    for split, share in (("train", 0.8), ("dev", 0.1), ("test", 0.1)):
        utterances = []
        for number in range(max(4, round(share * num_utterances))):
            path = folder / "wav" / f"{number % 4}.wav"
            seconds = audio.probe(path).duration_s
            text = f"{words[number % 4]} {hostile(draw, taken)}" if number % 2 else words[number % 4]
            utterances.append(Utterance(hostile(draw, taken), path, seconds, text[:40], hostile(draw, taken)))
        write_manifest(folder / f"{split}.jsonl", utterances)


def write_recordings(folder: Path) -> int:
    """Write audio files with hostile names, as far as a file can have them, and return how many."""
    folder.mkdir()
    names = [piece for piece in PIECES if not {"/", "\0"} & set(piece) and len(piece.encode()) < 200]
    for name in names:
        audio.write(folder / f"{name}.wav", say(["ab"], 1), SAMPLE_RATE_HZ)
    return len(names)


class Elements(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {(tag, "")} | {(tag, name) for name, _ in attrs}


class Shown:
    """What was printed and logged since the last look."""

    def __init__(self, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self._capsys, self._caplog = capsys, caplog

    def checked(self) -> str:
        """Return what was printed, none of which may drive a terminal."""
        captured = self._capsys.readouterr()
        assert not [message for message in self._caplog.messages if "\n" in message]  # each is one line of a log
        for text in (*captured, *self._caplog.messages):
            assert SECRET not in text
            found = HARMFUL.search(text.replace("\r\n", "\n").replace(".wav\t", ""))  # CSV's line ends, decode's tab
            assert not found, repr(text[:2000])
        self._caplog.clear()
        return captured.out


def check_files(folder: Path, allowed: tuple[Path, ...], before: set[Path]) -> None:
    """Look at the names of all new files, and that text files drive no terminal."""
    for path in set(folder.rglob("*")) - before:
        assert any(place in (path, *path.parents) for place in allowed), path
        assert re.fullmatch(r"[A-Za-z0-9_.=-]+", path.name), path
        assert path.name != "canary"
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
        if path.suffix in (".csv", ".html", ".txt", ".log", ".md", ".json", ".jsonl"):
            assert not HARMFUL.search(path.read_text(encoding="utf-8")), path


def cells(page: str) -> Iterator[str]:
    for row in csv.reader(io.StringIO(page)):
        yield from row


def check_every_verb(folder: Path, num_utterances: int, shown: Shown) -> None:
    corpus, exp, out = folder / "corpus", folder / "exp", folder / "out"
    write_corpus(corpus, num_utterances)
    num_recordings = write_recordings(folder / "recordings")
    before = set(folder.rglob("*"))
    settings = [f"corpus.dir={corpus}", f"exp_dir={exp}", "train.epochs=1", "tokens.unknown=drop"]
    assert cli.main(["train", *OVERRIDES, *settings]) == 0
    shown.checked()
    listed = read_manifest(corpus / "test.jsonl")
    hyps = [json.loads(line) for line in (exp / "hyp.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [hyp["id"] for hyp in hyps] == [u.utt_id for u in listed]
    assert cli.main(["score", str(corpus / "test.jsonl"), str(exp / "hyp.jsonl"), "-o", str(exp / "again.json")]) == 0
    assert cli.main(["validate", str(corpus)]) in (0, 3)
    assert cli.main(["export-kaldi", str(corpus / "test.jsonl"), str(out)]) == 3
    shown.checked()
    pages = {}
    for form in ("text", "md", "csv", "latex", "json", "html"):
        assert cli.main(["report", str(exp), "--format", form]) == 0
        pages[form] = shown.checked()
    assert not [cell for cell in cells(pages["csv"]) if cell[:1] in "=+@" and cell]
    assert not {tag for tag, _ in Elements(pages["html"]).found} & {"script", "img", "iframe", "link", "object"}
    assert not {name for _, name in Elements(pages["html"]).found if name.startswith("on")}
    assert "\\input" not in pages["latex"]
    assert cli.main(["decode", str(exp), str(folder / "recordings"), "-q"]) == 0
    assert len(shown.checked().splitlines()) == num_recordings
    assert cli.main(["doctor"]) in (0, 4)
    shown.checked()
    check_files(folder, (exp, out, corpus / "features"), before)


@pytest.fixture
def shown(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Shown:
    for number, name in enumerate(SECRETS):
        monkeypatch.setenv(name, f"{SECRET}-{number}")
    return Shown(capsys, caplog)


def test_every_verb_50_hostile_ids_do_nothing(tmp_path: Path, shown: Shown) -> None:
    check_every_verb(tmp_path, 50, shown)


@pytest.mark.fuzz
def test_every_verb_1000_hostile_ids_do_nothing(tmp_path: Path, shown: Shown) -> None:
    check_every_verb(tmp_path, 1000, shown)
