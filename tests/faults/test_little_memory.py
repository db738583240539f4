"""Recordings of half an hour and more where memory is short: said by name, and nothing else is lost. Or it suffices."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_ligru import cli
from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.typing import Utterance
from tests.tiny_corpus import OVERRIDES, SAMPLE_RATE_HZ, write_corpus

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (*OVERRIDES, "cell.hidden_size=512", "corpus.max_seconds=2000", "train.epochs=1", "train.batch_frames=1000",
            "features.cache=false", "decode.split=none")  # fmt: skip
HALF_AN_HOUR_S, SIX_HOURS_S = 1800, 6 * 3600
LIMITED = """
import resource, sys
from asr_ligru import cli
import asr_ligru.train.run, asr_ligru.decode.files
mapped = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmSize")) << 10
resource.setrlimit(resource.RLIMIT_AS, (mapped + (500 << 20),) * 2)
sys.exit(cli.main(sys.argv[1:]))
"""
pytestmark = [pytest.mark.fuzz, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run in ``exp``, and a corpus with half an hour in one utterance of each split."""
    folder = tmp_path_factory.mktemp("long")
    write_corpus(folder, num_train=12)
    assert cli.main(["train", *SETTINGS, f"corpus.dir={folder}", f"exp_dir={folder / 'exp'}"]) == 0
    write_noise(folder / "long.wav", HALF_AN_HOUR_S)
    for split in ("train", "test"):
        long = Utterance(f"{split}-long", folder / "long.wav", HALF_AN_HOUR_S, "ab")
        write_manifest(folder / f"{split}.jsonl", [*read_manifest(folder / f"{split}.jsonl"), long])
    return folder


def write_noise(path: Path, seconds: int) -> None:
    draw = np.random.default_rng(1)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1) as file:
        for _ in range(seconds // 60):
            file.write(draw.integers(-3000, 3000, 60 * SAMPLE_RATE_HZ, np.int16))


def in_little_memory(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, *arguments]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def test_train_without_memory_for_a_batch_ends_with_4_and_names_it(place: Path, tmp_path: Path) -> None:
    done = in_little_memory("train", *SETTINGS, f"corpus.dir={place}", f"exp_dir={tmp_path}")
    assert done.returncode == 4, done.stderr
    assert re.search(r"out of memory (on 1 utterances of up to 17\d{4} frames|reading 1800 s of audio)", done.stderr)
    assert "train-long" in done.stderr
    assert "Traceback" not in done.stderr


def test_decode_without_memory_for_an_utterance_says_so_and_decodes_the_others(place: Path, tmp_path: Path) -> None:
    whole = in_little_memory(
        "decode", str(place / "exp"), str(place / "test.jsonl"), "-o", str(tmp_path), "--format", "json"
    )
    assert whole.returncode == 1, whole.stderr
    assert "out of memory" in whole.stderr
    assert "Traceback" not in whole.stderr
    assert len(list(tmp_path.iterdir())) == len(read_manifest(place / "test.jsonl")) - 1


def test_decode_of_six_hours_takes_less_than_two_gigabytes(tmp_path: Path) -> None:
    corpus, exp, path = write_corpus(tmp_path / "corpus", num_train=12), tmp_path / "exp", tmp_path / "day.wav"
    assert cli.main(["train", *OVERRIDES, f"corpus.dir={corpus}", f"exp_dir={exp}", "train.epochs=1"]) == 0
    write_noise(path, SIX_HOURS_S)
    done = subprocess.run(
        [sys.executable, "-m", "asr_ligru", "decode", str(exp), str(path), "-o", str(tmp_path), "--format", "json"],
        capture_output=True, encoding="utf-8", check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "day.json").read_text(encoding="utf-8"))["duration_s"] == SIX_HOURS_S
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 << 20  # KiB, of the largest so far
    print(done.stderr)  # the real time factor
