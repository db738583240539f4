"""One bad file among many costs one utterance and is counted; too many end the run before it begins."""

from __future__ import annotations

import json
from pathlib import Path

import kaldialign
import pytest

from asr_ligru import cli
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.typing import Utterance
from tests.tiny_corpus import OVERRIDES, PITCH_HZ, SAMPLE_RATE_HZ, say

KINDS = ("truncated", "missing", "empty", "other rate", "no audio", "not finite")


def write_bad(path: Path, kind: str) -> Path:
    """Write a file that cannot be used."""
    audio.write(path, say(["ab"], 1), SAMPLE_RATE_HZ if kind != "other rate" else SAMPLE_RATE_HZ // 2)
    content = path.read_bytes()
    if kind == "not finite":  # a header of 32-bit floats, and samples of all ones
        content = content[:20] + b"\3" + content[21:34] + b"\x20" + content[35:44] + b"\xff" * (len(content) - 44)
    cut = {"truncated": content[:1000], "empty": b"", "no audio": b"#!/bin/sh\n" * 99}.get(kind, content)
    path.write_bytes(cut)
    if kind == "missing":
        path.unlink()
    return path


def write_corpus(folder: Path, size: int, num_bad: int) -> Path:
    """Write splits of ``size``, a tenth and a tenth of it, over four files; bad ones in train, and one in test."""
    (folder / "wav").mkdir(parents=True)
    good = {word: folder / "wav" / f"{word}.wav" for word in PITCH_HZ}
    for word, path in good.items():
        audio.write(path, say([word], 3), SAMPLE_RATE_HZ)
    seconds = audio.probe(good["ab"]).duration_s
    words = list(good)
    for split, count in (("train", size), ("dev", size // 10), ("test", size // 10)):
        utterances = [Utterance(f"{split}-{i}", good[words[i % 4]], seconds, words[i % 4]) for i in range(count)]
        for i in range({"train": num_bad, "dev": 0, "test": 1}[split]):
            path = write_bad(folder / "wav" / f"{split}-bad-{i}.wav", KINDS[i % len(KINDS)])
            utterances[3 * i] = Utterance(f"bad-{split}-{i}", path, seconds, "ab cd")
        write_manifest(folder / f"{split}.jsonl", utterances)
    return folder


def train(corpus: Path, exp: Path) -> int:
    return cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={exp}", "train.epochs=1"])


def records(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_one_bad_file_costs_one_utterance(folder: Path, size: int) -> None:
    corpus, exp = write_corpus(folder / "corpus", size, num_bad=1), folder / "exp"
    assert train(corpus, exp) == 0
    assert [(bad["id"], bad["stage"]) for bad in records(exp / "bad_utterances.jsonl")] == [("bad-train-0", "audio")]
    hyps = {record["id"]: record for record in records(exp / "hyp.jsonl")}
    listed = read_manifest(corpus / "test.jsonl")
    assert list(hyps) == [u.utt_id for u in listed]
    assert hyps["bad-test-0"]["hyp"] == ""
    assert hyps["bad-test-0"]["status"].startswith("truncated: ")
    assert {hyp["status"] for key, hyp in hyps.items() if key != "bad-test-0"} == {"ok"}
    errors = sum(kaldialign.edit_distance(u.text.split(), hyps[u.utt_id]["hyp"].split())["total"] for u in listed)
    words = json.loads((exp / "wer.json").read_text(encoding="utf-8"))["words"]
    assert (words["errors"], words["ref"]) == (errors, sum(len(u.text.split()) for u in listed))


def check_too_many_bad_files_end_the_run(
    folder: Path, size: int, num_bad: int, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(folder / "corpus", size, num_bad)
    assert train(corpus, folder / "exp") == 3
    assert f"{num_bad} of {size} utterances are unusable" in capsys.readouterr().err
    assert len(records(folder / "exp" / "bad_utterances.jsonl")) == num_bad
    assert not (folder / "exp" / "model").exists()


def test_train_one_bad_file_in_100_costs_one_utterance(tmp_path: Path) -> None:
    check_one_bad_file_costs_one_utterance(tmp_path, 100)


def test_train_six_bad_files_in_100_end_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_too_many_bad_files_end_the_run(tmp_path, 100, len(KINDS), capsys)


@pytest.mark.fuzz
def test_train_one_bad_file_in_10000_costs_one_utterance(tmp_path: Path) -> None:
    check_one_bad_file_costs_one_utterance(tmp_path, 10_000)


@pytest.mark.fuzz
def test_train_20_bad_files_in_10000_end_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_too_many_bad_files_end_the_run(tmp_path, 10_000, 20, capsys)
