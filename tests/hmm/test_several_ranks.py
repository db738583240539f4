"""GMM-HMMs and background models by two processes: statistics of parts, summed, make the models of one process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr_ligru import ranks
from asr_ligru.config import CorpusConfig, HmmConfig
from asr_ligru.data.manifest import read_manifest
from asr_ligru.hmm import ubm
from asr_ligru.hmm.manifests import align_known
from asr_ligru.hmm.run import FEATURES, train_system
from asr_ligru.hmm.store import model_tensors, read_stage
from asr_ligru.hmm.ubm import UbmOptions
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety.sealed import open_sealed
from tests import several_ranks
from tests.tiny_corpus import SAMPLE_RATE_HZ, write_corpus
from tests.tolerance import assert_close

CEPSTRA = replace(FEATURES, sample_rate_hz=SAMPLE_RATE_HZ, cache=False)
SMALL = HmmConfig(
    mono_gauss=30, tri_leaves=12, tri_gauss=24, lda_leaves=12, lda_gauss=24, sat_leaves=12, sat_gauss=24, lda_dim=12
)


def stage_tensors(folder: Path, name: str) -> dict[str, torch.Tensor]:
    found = read_stage(folder / name, open_sealed(folder / name, seal="stage.json", format=1)["key"])
    assert found is not None
    aligned = [torch.zeros(0) if a is None else torch.cat([a.phones, a.positions, a.states]) for a in found.alignments]
    return {**model_tensors(found), "alignments": torch.cat(aligned)}


def test_train_system_by_two_ranks_makes_the_stages_of_one(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", num_train=9)
    utterances = read_manifest(corpus / "train.jsonl")

    def train(folder: Path) -> None:
        reading = CorpusConfig(dir=str(corpus))
        train_system(folder, utterances, None, reading, features=CEPSTRA, config=SMALL, watch=lambda progress: None)

    train(tmp_path / "1")
    several_ranks.run(2, lambda: train(tmp_path / "2"))
    for stage in ("mono", "tri", "lda_mllt", "sat"):
        expected, found = (stage_tensors(tmp_path / name, stage) for name in "12")
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            assert_close(found[name].double(), tensor.double(), f"{stage} {name}")
    assert (tmp_path / "2" / "model").is_dir()


def test_align_known_by_two_ranks_some_speakers_each_aligns_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(tmp_path / "corpus", num_train=9)
    utterances = read_manifest(corpus / "train.jsonl")
    utterances.append(replace(utterances[0], utt_id="gone", audio_path=tmp_path / "gone.wav"))
    reading = CorpusConfig(dir=str(corpus))
    config = replace(SMALL, max_hours=4 / 3600)
    folder = tmp_path / "model"
    done = train_system(folder, utterances, None, reading, features=CEPSTRA, config=config, watch=lambda progress: None)
    assert 0 < len(done.material.utterances) < 9
    whole = align_known(done.system, utterances, reading, None)
    assert whole.keys() == {u.utt_id for u in utterances[:9]}
    monkeypatch.setattr("asr_ligru.hmm.manifests._HOURS_AT_ONCE", 1e-9)  # a speaker at a time

    def align() -> None:
        found = align_known(done.system, utterances, reading, None)
        assert found.keys() == whole.keys()
        for utt_id, alignment in found.items():
            assert torch.equal(alignment.pdfs(done.system.trained.model.tree), states[utt_id])

    states = {utt_id: alignment.pdfs(done.system.trained.model.tree) for utt_id, alignment in whole.items()}
    align()
    several_ranks.run(2, align)
    several_ranks.run(4, align)  # more than there are parts


@pytest.mark.parametrize("num_speakers", [1, 5])
def test_train_ubm_by_two_ranks_makes_the_model_of_one(num_speakers: int, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    centres = 4 * torch.randn(3, 4, generator=generator)
    speakers = [
        [centres[torch.randint(3, (300,), generator=generator)] + torch.randn(300, 4, generator=generator)]
        for _ in range(num_speakers)
    ]
    options = UbmOptions(num_gauss=3, iterations=4, rounds=1, updates=2)

    def train() -> None:
        path = tmp_path / f"{ranks.count()}-{ranks.rank()}.safetensors"
        path.write_bytes(pack(ubm.train(speakers, options).tensors()))

    train()
    several_ranks.run(2, train)
    expected = unpack(tmp_path / "1-0.safetensors")
    for rank in range(2):
        for name, tensor in unpack(tmp_path / f"2-{rank}.safetensors").items():
            if name != "basis":  # its vectors are defined up to their sign
                assert_close(tensor, expected[name], name)
