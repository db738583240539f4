"""Corpora of a few utterances in the layouts that the real ones are published in: tones instead of speech."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soundfile

from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.prepare import Preparation, prepare_corpus

Texts = dict[str, list[tuple[str, str]]]  # (id, text) by split
TIMIT_TEXT = {"fcjf0": "h# hh ix pcl p ae q h#", "faks0": "h# sh ix tcl t h#", "mdab0": "h# ux dcl jh ax-h h#"}


def tone(path: Path, seconds: float = 0.5, rate_hz: int = 16000) -> None:
    """Write 16 bits of a tone and faint noise, another for each file name, in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(zlib.crc32(path.name.encode()))
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    wav = 0.3 * np.sin(2 * np.pi * draw.integers(200, 2000) * time_s) + 0.01 * draw.standard_normal(len(time_s))
    sphere = path.suffix == ".sph" or path.name.endswith(".WAV")
    if path.suffix.lower() == ".mp3":
        soundfile.write(path, wav, rate_hz, format="MP3")
    else:
        soundfile.write(path, wav, rate_hz, format="NIST" if sphere else None, subtype="PCM_16")


def lines(path: Path, *texts: str) -> None:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def left_out(report: Preparation) -> list[tuple[str, str]]:
    """Return (id, the reason up to its colon) of what no split takes."""
    return [(bad.utt_id, bad.reason.partition(":")[0]) for bad in report.left_out]


def prepared(name: str, tmp_path: Path, root: Path | None = None) -> tuple[Preparation, Texts]:
    """Prepare the fake of a corpus and return the report and (id, text) of each split's utterances."""
    root = root or tmp_path / name
    if not root.exists():
        FAKES[name](root)
    report = prepare_corpus(name, root, tmp_path / "out")
    splits = {split: [(u.utt_id, u.text) for u in read(report, split)] for split in report.manifests}
    return report, splits


def read(report: Preparation, split: str) -> list:
    """Return the utterances of a split, none where it is empty."""
    path = report.manifests[split]
    return read_manifest(path) if path.stat().st_size else []


def an4(root: Path) -> None:
    """Four training utterances, one of them by a development speaker, and one for testing."""
    parts = {
        "train": ("an4_clstk", {"an1-fash-b": "YES", "an2-fash-b": "GO", "an3-mblb-b": "STOP", "cen1-fejs-b": "GO"}),
        "test": ("an4test_clstk", {"an4-fcaw-b": "STOP"}),
    }
    for part, (folder, texts) in parts.items():
        lines(
            root / "etc" / f"an4_{part}.transcription", *(f"<s> {text} </s> ({name})" for name, text in texts.items())
        )
        for name in texts:
            tone(root / "wav" / folder / name.split("-")[1] / f"{name}.sph")
    lines(root / "etc" / "an4.dic", "YES Y EH S", "GO G OW", "STOP S T AA P")


def fsdd(root: Path) -> None:
    """Five digits: three to train, one for development, one for testing."""
    for name in ("3_ann_10", "7_bob_11", "3_bob_12", "7_ann_5", "3_ann_0"):
        tone(root / "recordings" / f"{name}.wav", 0.4, 8000)


def yesno(root: Path) -> None:
    """Fourteen files of four words: of the first half each sixth file is for development, the second is for testing."""
    for number in range(14):
        tone(root / "waves_yesno" / f"{'_'.join(f'{number:04b}')}.wav", 1.4, 8000)


def librispeech_part(root: Path, part: str, *speakers: str) -> None:
    """Write one utterance of each speaker in LibriSpeech's layout."""
    for speaker in speakers:
        chapter = root / "LibriSpeech" / part / speaker / "7"
        tone(chapter / f"{speaker}-7-0000.flac", 0.8)
        lines(chapter / f"{speaker}-7.trans.txt", f"{speaker}-7-0000 IT'S  SO")


def librispeech_lexicon(root: Path) -> None:
    """Write a piece of OpenSLR 11."""
    lines(root / "librispeech-lexicon.txt", "IT'S\tIH1 T S", "IT'S\tIH0 T S", "SO\tS OW1", "SO\tS OW1")


def mini_librispeech(root: Path) -> None:
    """Two training speakers and two others."""
    librispeech_part(root, "train-clean-5", "10", "11", "12")
    librispeech_part(root, "dev-clean-2", "3", "4")
    librispeech_lexicon(root)


def librispeech(root: Path) -> None:
    """Every part, two speakers in each of the training sets."""
    parts = {"train-clean-100": "10 11 12", "train-clean-360": "20 21", "train-other-500": "30 31"}
    parts |= {"dev-clean": "1", "dev-other": "2", "test-clean": "3", "test-other": "4"}
    for part, speakers in parts.items():
        librispeech_part(root, part, *speakers.split())
    librispeech_lexicon(root)


def timit(root: Path, upper: bool = True) -> None:
    """Two training sentences, one each for development and the core test, and what nobody uses."""
    people = [("train", "dr1", "fcjf0"), ("train", "dr2", "maeb0"), ("test", "dr1", "faks0"), ("test", "dr1", "mdab0")]
    for part, region, speaker in [*people, ("test", "dr2", "mzzz0")]:
        for name in ("si1027", "sa1"):
            stem = f"{part}/{region}/{speaker}/{name}"
            phones = TIMIT_TEXT.get(speaker, "h# sh ix tcl t ux dcl jh ax-h h#").split()
            rows = [f"{100 * i} {100 * i + 100} {phone}" for i, phone in enumerate(phones)]
            case: Callable[[str], str] = str.upper if upper else str.lower
            lines(root / case(f"{stem}.phn"), *rows)
            lines(root / case(f"{stem}.txt"), "0 9 She had.")
            tone(root / case(f"{stem}.wav"), 0.8)


def common_voice(root: Path) -> None:
    """Two sentences to train, one each for development and testing, one that nobody has voted for."""
    header = "client_id\tpath\tsentence\tup_votes\tlocale"
    sentences = {
        "train": [("anna", "cv_it_1", "L’altro giorno,  così."), ("bea", "cv_it_2", "«Sì»")],
        "dev": [("carla", "cv_it_3", "Così così")],
        "test": [("dora", "cv_it_4", "Un giorno")],
        "other": [("elsa", "cv_it_5", "Altro")],
    }
    sentences["validated"] = [row for split in ("train", "dev", "test") for row in sentences[split]]
    for table, rows in sentences.items():
        texts = (f"{speaker}\t{clip}.mp3\t{text}\t2\tit" for speaker, clip, text in rows)
        lines(root / "cv-corpus" / "it" / f"{table}.tsv", header, *texts)
        for _, clip, _ in rows:
            tone(root / "cv-corpus" / "it" / "clips" / f"{clip}.mp3", 1.0, 32000)


FAKES: Mapping[str, Callable[[Path], None]] = {
    fake.__name__: fake for fake in (an4, fsdd, yesno, mini_librispeech, librispeech, timit, common_voice)
}
