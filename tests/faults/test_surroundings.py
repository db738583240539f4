"""What happens around a run: terminals that close, memory that ends, files that change or vanish between and within."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr_ligru import cli
from asr_ligru.config import CorpusConfig, FeaturesConfig
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.source import FeatureSource
from asr_ligru.errors import EnvironmentError_
from asr_ligru.train.brain import AsrBrain
from asr_ligru.train.memory import explained
from asr_ligru.typing import Batch
from tests.faults.tiny_run import assert_equal_runs
from tests.tiny_corpus import OVERRIDES, write_corpus

ROOT = Path(__file__).resolve().parents[2]
Plan = Callable[[int, Callable[[AsrBrain], object]], None]
CLOSED = "import os, sys; os.close(int(sys.argv[1])); os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"


def run_verb(*arguments: str, closed: int | None = None, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a verb in a process of its own, with a stream closed or as ``options`` say."""
    command = ["-m", "asr_ligru", *arguments]
    first = [] if closed is None else ["-c", CLOSED, str(closed)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([sys.executable, *first, *command], cwd=ROOT, check=False, **streams)


def test_terminal_without_unicode_gets_numbers_for_letters() -> None:
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = run_verb("ls", env={**os.environ, **plain})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u05db\u05df" in done.stdout


@pytest.mark.parametrize("closed", [1, 2])
def test_terminal_closed_costs_its_text_alone(closed: int) -> None:
    done = run_verb("score", "no-such-file", "no-such-file", closed=closed)
    assert done.returncode == 3
    assert done.stdout == b""
    assert (b"data error" in done.stderr, b"Traceback" in done.stderr) == (closed == 1, False)


def test_output_to_a_full_device_is_an_error() -> None:
    with open("/dev/full", "wb") as full:
        done = run_verb("ls", stdout=full)
    assert done.returncode == 4
    assert done.stderr.startswith(b"environment error: disk full")


def batch_of(*lengths: int) -> Batch:
    lens = torch.tensor(lengths)
    feats = torch.zeros(len(lens), int(lens.max()), 2)
    names = tuple(f"u{n}" for n in lengths)
    return Batch(names, feats, lens, torch.ones(len(lens), 1, dtype=torch.int64), torch.ones_like(lens), 1)


def test_memory_that_ends_names_the_batch() -> None:
    with pytest.raises(EnvironmentError_, match=r"on 3 utterances of up to 70 frames: .*allocate") as caught, explained(
        batch_of(5, 70, 9)
    ):  # fmt: skip
        torch.empty(1 << 55)
    assert caught.value.where == "the longest is u70"
    assert "train.batch_frames" in caught.value.fix
    with pytest.raises(RuntimeError, match="shape"), explained(batch_of(1)):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_memory_that_ends_while_an_utterance_is_read_names_it(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> Any:
        return np.zeros(1 << 55, np.float32)

    monkeypatch.setattr(audio, "read", read)
    (first, *_), source = read_manifest(corpus / "train.jsonl"), FeatureSource(FeaturesConfig(), CorpusConfig())
    with pytest.raises(EnvironmentError_, match="out of memory reading 1 s of audio: Unable to allocate") as caught:
        source.feats(first)
    assert caught.value.where == "train-0"


def train(corpus: Path, exp_dir: Path, *more: str) -> int:
    try:
        return cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={exp_dir}", "train.epochs=3",
                         "train.save_every_s=1e-6", "train.batch_frames=300", *more])  # fmt: skip
    except SystemExit as stopped:
        return int(stopped.code or 0)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", num_train=12)


@pytest.fixture
def at_batch(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Return what lets something happen once, with the batch of that number from now on."""
    plain = AsrBrain.fit_batch

    def plan(number: int, act: Callable[[AsrBrain], object]) -> None:
        waiting = number

        def fit_batch(self: AsrBrain, batch: Batch) -> Any:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                act(self)
            return plain(self, batch)

        monkeypatch.setattr(AsrBrain, "fit_batch", fit_batch)

    return plan


def ask_to_stop(brain: AsrBrain) -> None:
    brain.stop.signum = 15


def test_train_stopped_among_accumulated_batches_loses_none_of_them(
    corpus: Path, tmp_path: Path, at_batch: Plan
) -> None:
    more = ("train.accumulate=3",)
    assert train(corpus, tmp_path / "unbroken", *more) == 0
    for number in (2, 4):
        at_batch(number, ask_to_stop)
        assert train(corpus, tmp_path / "broken", *more) == 143
    assert train(corpus, tmp_path / "broken", *more) == 0
    assert_equal_runs(tmp_path / "broken", tmp_path / "unbroken")


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda text: text, False),
        (lambda text: text.replace("ab", "xb"), True),  # as many output units as before, of which one means another
        (lambda text: "".join(text.splitlines(keepends=True)[:-1]), True),
        (lambda text: "".join(reversed(text.splitlines(keepends=True))), True),
    ],
    ids=["none", "letter", "utterance", "order"],
)
def test_train_continued_on_a_changed_corpus_is_refused(
    change: Callable[[str], str], refused: bool, corpus: Path, tmp_path: Path, at_batch: Plan,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    at_batch(3, ask_to_stop)
    assert train(corpus, tmp_path / "exp") == 143
    for split in ("train", "dev", "test"):
        path = corpus / f"{split}.jsonl"
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert train(corpus, tmp_path / "exp") == (2 if refused else 0)
    assert ("other utterances, transcripts or output units" in capsys.readouterr().err) == refused


@pytest.mark.parametrize("num_workers", [0, 1])
def test_train_whose_audio_vanishes_names_the_file_and_goes_on_when_it_is_back(
    num_workers: int, corpus: Path, tmp_path: Path, at_batch: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("features.cache=false",)
    assert train(corpus, tmp_path / "unbroken", *more) == 0
    wav, away = corpus / "wav", corpus / "away"
    at_batch(2, lambda brain: wav.rename(away))
    code = train(corpus, tmp_path / "exp", *more, f"train.num_workers={num_workers}")
    message = capsys.readouterr().err
    assert code == 3, message
    assert str(wav) in message
    assert "Traceback" not in message
    away.rename(wav)
    (tmp_path / "exp").rename(tmp_path / "moved")
    assert train(corpus, tmp_path / "moved", *more) == 0
    assert_equal_runs(tmp_path / "moved", tmp_path / "unbroken")


@pytest.mark.fuzz
def test_train_in_another_locale_and_time_zone_makes_the_same_files(corpus: Path, tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        path = corpus / f"{split}.jsonl"
        path.write_text(path.read_text(encoding="utf-8").replace('"ab', '"\u05db\u05df'), encoding="utf-8")
    there = {"LC_ALL": "C", "TZ": "Asia/Kolkata", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for name, variables in (("here", {}), ("there", there)):
        more = (f"corpus.dir={corpus}", f"exp_dir={tmp_path / name}", "train.epochs=3")
        done = run_verb("train", *OVERRIDES, *more, env={**os.environ, **variables})
        assert done.returncode == 0, done.stderr
    assert_equal_runs(tmp_path / "there", tmp_path / "here")
