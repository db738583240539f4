from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asr_ligru.cli import main
from asr_ligru.data import audio
from asr_ligru.data.manifest import read_manifest
from asr_ligru.data.noisy import write_noisy
from asr_ligru.errors import ConfigError
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), num_train=1)
    (folder / "noise").mkdir()
    for n in range(3):
        noise = 0.05 * torch.randn(3000, generator=torch.Generator().manual_seed(n))
        audio.write(folder / "noise" / f"{n}.wav", noise, SAMPLE_RATE_HZ)
    return folder


def write(corpus: Path, name: str, snr_db: float = 10.0, seed: int = 1, split: str = "test.jsonl") -> list[bytes]:
    write_noisy(
        corpus / split, corpus / name, corpus / "noise", snr_db, seed=seed, sample_rate_hz=SAMPLE_RATE_HZ
    )  # fmt: skip
    return [u.audio_path.read_bytes() for u in read_manifest(corpus / name)]


def test_write_noisy_has_the_snr_and_everything_else_as_before(corpus: Path) -> None:
    write(corpus, "loud.jsonl")
    for clean, noisy in zip(read_manifest(corpus / "test.jsonl"), read_manifest(corpus / "loud.jsonl"), strict=True):
        assert (noisy.utt_id, noisy.text, noisy.speaker, noisy.snr_db) == (clean.utt_id, clean.text, clean.speaker, 10)
        wav, both = audio.read(clean.audio_path), audio.read(noisy.audio_path)
        snr_db = 20 * torch.log10(wav.norm() / (both - wav).norm())
        assert abs(float(snr_db) - 10) < 0.1


def test_write_noisy_depends_on_seed_and_id_alone(corpus: Path) -> None:
    lines = (corpus / "test.jsonl").read_text(encoding="utf-8").splitlines()
    (corpus / "reversed.jsonl").write_text("\n".join(reversed(lines)), encoding="utf-8")
    first = write(corpus, "a.jsonl")
    assert write(corpus, "b.jsonl", split="reversed.jsonl")[::-1] == first
    assert not set(write(corpus, "c.jsonl", seed=2)) & set(first)


def test_write_noisy_over_its_own_manifest_is_refused(corpus: Path) -> None:
    with pytest.raises(ConfigError, match="replace the clean one"):
        write(corpus, "test.jsonl")


def test_add_noise_verb_writes_and_names_bad_noise(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "noise" / "3.wav").write_bytes(b"RIFF")
    out = corpus / "verb.jsonl"
    options = ["--noise", str(corpus / "noise"), "--snr-db", "5", "--sample-rate-hz", str(SAMPLE_RATE_HZ)]
    assert main(["add-noise", str(corpus / "test.jsonl"), str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert "left out: 3.wav" in printed
    assert f"6 utterances at 5 dB in {out}" in printed
    assert json.loads(out.read_text(encoding="utf-8").splitlines()[0])["snr_db"] == 5
