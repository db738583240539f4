"""Two runs that need the same GMM-HMM build it once, and a builder that is killed is no obstacle to the next."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr_ligru.hmm.system import System
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus

SIZES = ("lda_dim=6", "mono_gauss=60", "tri_gauss=60", "lda_gauss=60", "sat_gauss=60")


def start(corpus: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "asr_ligru", "fmllr", "train", str(corpus), str(out), "-q",
               "--sample-rate-hz", str(SAMPLE_RATE_HZ), "--set", *SIZES]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.fuzz
def test_builders_at_once_of_which_one_is_killed_make_one_whole_model(tmp_path: Path) -> None:
    corpus, out = write_corpus(tmp_path / "corpus", num_train=12), tmp_path / "out"
    first = start(corpus, out)
    while not (out / "mono").is_dir():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.001)
    first.send_signal(signal.SIGSTOP)  # in the middle of its work
    second = start(corpus, out)
    assert second.stderr is not None
    assert f"waiting for process {first.pid} on".encode() in second.stderr.readline()
    made = (out / "mono" / "model.safetensors").stat().st_mtime_ns
    first.kill()
    first.communicate()
    assert second.wait(600) == 0, second.stderr.read()
    second.stderr.close()
    assert (out / "mono" / "model.safetensors").stat().st_mtime_ns == made  # what was finished is not made again
    alone = start(corpus, tmp_path / "alone")
    assert alone.communicate(timeout=600)[1] == b""
    ours, expected = System.read(out).tensors(), System.read(tmp_path / "alone").tensors()
    assert ours.keys() == expected.keys()
    assert all((ours[name] == tensor).all() for name, tensor in expected.items())
