"""Validation finds every planted fault, counts it once, and finds nothing in sound corpora."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_ligru.data.findings import ERRORS, WARNINGS, WIDTH, Report
from asr_ligru.data.prepare import prepare_corpus
from asr_ligru.data.validate import validate_corpus
from asr_ligru.errors import DataError

RATE_HZ = 8000


class Corpus:
    """A folder of two sound splits of five utterances, to plant faults in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: dict[str, list[dict[str, Any]]] = {}
        for split, seed in (("train", 1), ("test", 2)):
            noise = np.random.default_rng(seed).normal(0, 0.1, (5, RATE_HZ // 2))
            self.lines[split] = [self.add(f"{split}{i}", split, wav) for i, wav in enumerate(noise)]

    def add(self, name: str, speaker: str, wav: np.ndarray, **options: Any) -> dict[str, Any]:
        """Write a wave and return its manifest line."""
        soundfile.write(self.folder / f"{name}.wav", wav, options.pop("rate_hz", RATE_HZ), **options)
        return {"id": name, "audio_filepath": f"{name}.wav", "duration": 0.5, "text": "A B", "speaker": speaker}

    def check(self, **options: Any) -> Report:
        """Write the manifests and validate them."""
        for split, lines in self.lines.items():
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (self.folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
        return validate_corpus(self.folder, **options)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def _found(report: Report) -> dict[str, int]:
    return {kind: count for kind, count in report.counts.items() if count}


def test_validate_sound_corpus_finds_nothing(corpus: Corpus) -> None:
    ticks: list[None] = []
    report = corpus.check(sample_rate_hz=RATE_HZ, tick=lambda: ticks.append(None))
    assert _found(report) == {}
    assert not report.has_errors
    assert len(ticks) == 10
    assert report.characters == {"A": 10, " ": 10, "B": 10}
    assert {name: (split.utterances, split.seconds) for name, split in report.splits.items()} == {
        "train": (5, 2.5),
        "test": (5, 2.5),
    }


def _missing(corpus: Corpus) -> None:
    (corpus.folder / "train1.wav").unlink()


def _truncated(corpus: Corpus) -> None:
    path = corpus.folder / "train1.wav"
    path.write_bytes(path.read_bytes()[:3000])


def _unreadable(corpus: Corpus) -> None:
    (corpus.folder / "train1.wav").write_bytes(b"<html>")


def _not_finite(corpus: Corpus) -> None:
    corpus.add("train1", "train", np.full(RATE_HZ // 2, np.nan), subtype="FLOAT")


def _rate(corpus: Corpus) -> None:
    corpus.add("train1", "train", np.random.default_rng(9).normal(0, 0.1, RATE_HZ), rate_hz=2 * RATE_HZ)


def _channels(corpus: Corpus) -> None:
    corpus.add("train1", "train", np.random.default_rng(9).normal(0, 0.1, (RATE_HZ // 2, 2)))


def _duration(corpus: Corpus) -> None:
    corpus.lines["train"][1]["duration"] = 0.8


def _behind(corpus: Corpus) -> None:
    corpus.lines["train"][1]["offset"] = 0.6


def _unused(corpus: Corpus) -> None:
    corpus.lines["train"][1]["duration"] = 0.2


def _short(corpus: Corpus) -> None:
    corpus.add("train1", "train", np.random.default_rng(9).normal(0, 0.1, 160))
    corpus.lines["train"][1]["duration"] = 0.02


def _long(corpus: Corpus) -> None:
    corpus.add("train1", "train", np.random.default_rng(9).normal(0, 0.1, 2 * RATE_HZ))
    corpus.lines["train"][1]["duration"] = 2.0


def _silent(corpus: Corpus) -> None:
    corpus.add("train1", "train", np.full(RATE_HZ // 2, 0.25))


def _clipped(corpus: Corpus) -> None:
    wav = np.random.default_rng(9).normal(0, 0.1, RATE_HZ // 2)
    wav[:4] = 1.0
    corpus.add("train1", "train", wav)


def _same_audio(corpus: Corpus) -> None:
    (corpus.folder / "test4.wav").write_bytes((corpus.folder / "train1.wav").read_bytes())


def _repeated(corpus: Corpus) -> None:
    (corpus.folder / "train4.wav").write_bytes((corpus.folder / "train1.wav").read_bytes())


def _same_id(corpus: Corpus) -> None:
    corpus.lines["test"][4]["id"] = "train1"


def _twice(corpus: Corpus) -> None:
    corpus.lines["train"][4]["id"] = "train1"


def _no_text(corpus: Corpus) -> None:
    corpus.lines["train"][1]["text"] = ""


def _spacing(corpus: Corpus) -> None:
    corpus.lines["train"][1]["text"] = "A\u00a0B  C"


def _invisible(corpus: Corpus) -> None:
    corpus.lines["train"][1]["text"] = "A\u200bB"


def _decomposed(corpus: Corpus) -> None:
    corpus.lines["train"][1]["text"] = "e\u0301"


def _letters(corpus: Corpus) -> None:
    corpus.lines["train"][1]["text"] = "AB" * 24 + "A"  # 48 frames


def _bad_line(corpus: Corpus) -> None:
    corpus.lines["train"][1]["duration"] = "long"


PLANTED = [
    (_missing, "missing"),
    (_truncated, "truncated"),
    (_unreadable, "unreadable"),
    (_not_finite, "unreadable"),
    (_rate, "rate"),
    (_channels, "channels"),
    (_duration, "duration"),
    (_behind, "duration"),
    (_unused, "unused"),
    (_short, "too short"),
    (_long, "too long"),
    (_silent, "silent"),
    (_clipped, "clipped"),
    (_same_audio, "same audio"),
    (_repeated, "repeated"),
    (_same_id, "same id"),
    (_twice, "manifest"),
    (_no_text, "no text"),
    (_letters, "too many letters"),
    (_spacing, "spacing"),
    (_invisible, "characters"),
    (_decomposed, "characters"),
    (_bad_line, "manifest"),
]


@pytest.mark.parametrize(("plant", "kind"), PLANTED, ids=[plant.__name__[1:] for plant, _ in PLANTED])
def test_validate_planted_fault_is_the_only_finding(corpus: Corpus, plant: Any, kind: str) -> None:
    plant(corpus)
    report = corpus.check(sample_rate_hz=RATE_HZ, max_seconds=1.0)
    assert _found(report) == {kind: 1}
    assert report.has_errors == (kind in ERRORS)
    where = report.examples[kind][0]
    assert where.startswith(("train:2 ", "train:5 ", "test:5 ", "train: line 2", "train: line 5")), where
    assert (ERRORS | WARNINGS)[kind] in report.render()


def test_validate_all_kinds_of_faults_at_once_are_found_in_one_pass(corpus: Corpus) -> None:
    noise = np.random.default_rng(9)
    _missing(corpus)  # each of the others in an utterance of its own
    (corpus.folder / "train0.wav").write_bytes(b"<html>")
    corpus.add("train2", "train", noise.normal(0, 0.1, RATE_HZ), rate_hz=2 * RATE_HZ)
    corpus.add("train3", "train", noise.normal(0, 0.1, (RATE_HZ // 2, 2)))
    corpus.lines["train"][4]["duration"] = 0.8
    corpus.lines["test"][0]["text"] = ""
    corpus.add("test1", "test", np.full(RATE_HZ // 2, 0.25))
    corpus.lines["test"][2]["text"] = "A\u200bB"
    corpus.lines["test"][3]["duration"] = "long"
    path = corpus.folder / "test4.wav"
    path.write_bytes(path.read_bytes()[:3000])
    expected = ("missing", "unreadable", "rate", "channels", "duration", "no text", "silent", "characters", "manifest")
    assert _found(corpus.check(sample_rate_hz=RATE_HZ)) == dict.fromkeys((*expected, "truncated"), 1)


def test_validate_allowed_rate_and_channels_are_no_findings(corpus: Corpus) -> None:
    corpus.add("train1", "train", np.random.default_rng(9).normal(0, 0.1, (RATE_HZ, 2)), rate_hz=2 * RATE_HZ)
    assert _found(corpus.check(sample_rate_hz=RATE_HZ, resample=True, channel="mix")) == {}


def test_validate_without_rate_compares_with_the_first_file(corpus: Corpus) -> None:
    assert _found(corpus.check()) == {}
    _rate(corpus)
    assert _found(corpus.check()) == {"rate": 1}


@pytest.mark.parametrize("promised", [[], ["test"], ["train", "test"]])
def test_validate_speaker_in_two_splits_is_found_where_the_corpus_promises_none(
    corpus: Corpus, promised: list[str]
) -> None:
    corpus.lines["test"][3]["speaker"] = "train"
    (corpus.folder / "prepare.json").write_text(json.dumps({"disjoint_speakers": promised}), encoding="utf-8")
    assert _found(corpus.check()) == ({"same speaker": 1} if promised else {})


def test_validate_many_findings_are_counted_with_few_examples(corpus: Corpus) -> None:
    for path in corpus.folder.glob("*.wav"):
        path.unlink()
    report = corpus.check()
    assert _found(report) == {"missing": 10}
    assert "and 5 more" in report.render()


def test_render_fits_80_columns_and_is_printable(corpus: Corpus) -> None:
    corpus.lines["train"][0]["text"] = "\x1b]0;owned\x07" + "long " * 50 + "\u202e"
    corpus.lines["train"][0]["id"] = "\x1b[2J" * 40
    text = corpus.check().render()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


def test_validate_folder_without_manifests_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match=r"train\.jsonl"):
            validate_corpus(folder)
    with pytest.raises(DataError, match="cannot read manifest"):
        validate_corpus(tmp_path, ["train"])


@pytest.mark.parametrize(("name", "rate_hz"), [("an4", 16000), ("yesno", 8000)])
def test_validate_real_corpus_has_no_finding(shared: Path, tmp_path: Path, name: str, rate_hz: int) -> None:
    prepare_corpus(name, shared / "corpora" / name, tmp_path)
    report = validate_corpus(tmp_path, sample_rate_hz=rate_hz)
    assert _found(report) == {}


def test_validate_real_fsdd_speaker_left_out_is_in_no_training(shared: Path, tmp_path: Path) -> None:
    prepare_corpus("fsdd", shared / "corpora" / "fsdd", tmp_path)
    folder = tmp_path / "loso_theo"
    assert _found(validate_corpus(folder)) == {}
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    train.write_text(train.read_text(encoding="utf-8") + test.read_text(encoding="utf-8"), encoding="utf-8")
    assert _found(validate_corpus(folder)) == {"same id": 500, "same speaker": 1, "same audio": 500}
