"""Stages on disk: read back equal, refused when altered or made from something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from asr_ligru.errors import DataError
from asr_ligru.hmm.alignment import Alignment
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.stages import Trained
from asr_ligru.hmm.store import load_model, model_tensors, read_stage, write_stage


@pytest.fixture
def stage(kaldi_model: AcousticModel) -> Trained:
    """Return a stage with everything a stage can have, and an utterance without alignment."""
    alignment = Alignment.equal([(1, 2), (3,)], kaldi_model.topology, 40)
    dim = kaldi_model.gmms.gauss.dim
    matrices = torch.eye(dim, dim + 1, dtype=torch.float64).repeat(2, 1, 1)
    partner = GmmSet(kaldi_model.gmms.gauss, kaldi_model.gmms.offsets)
    return Trained(kaldi_model, [None, alignment], torch.eye(dim), partner, matrices, matrices, log_like=-50.5)


def test_stage_read_back_is_equal(tmp_path: Path, stage: Trained) -> None:
    write_stage(tmp_path / "sat", stage, "key")
    again = read_stage(tmp_path / "sat", "key")
    assert again is not None
    expected, got = model_tensors(stage), model_tensors(again)
    assert expected.keys() == got.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, got[name]), name
    assert (again.log_like, again.model.topology, again.alignments[0]) == (-50.5, stage.model.topology, None)
    before, after = stage.alignments[1], again.alignments[1]
    assert before is not None
    assert after is not None
    assert before.phone_spans() == after.phone_spans()
    assert before.word_spans() == after.word_spans()
    assert torch.equal(before.pdfs(stage.model.tree), after.pdfs(again.model.tree))


def test_stage_made_from_something_else_is_not_taken(tmp_path: Path, stage: Trained) -> None:
    write_stage(tmp_path / "sat", stage, "key")
    assert read_stage(tmp_path / "sat", "other") is None
    assert read_stage(tmp_path / "mono", "key") is None


def test_stage_altered_file_is_refused(tmp_path: Path, stage: Trained) -> None:
    write_stage(tmp_path / "sat", stage, "key")
    path = tmp_path / "sat" / "alignments.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="altered"):
        read_stage(tmp_path / "sat", "key")


@pytest.mark.parametrize("name", ["model.tree", "model.stay", "model.offsets", "model.weights", "partner.means"])
def test_load_model_tensor_of_another_size_is_refused(stage: Trained, name: str) -> None:
    tensors = model_tensors(stage)
    tensors[name] = tensors[name][:-1]
    with pytest.raises(DataError):
        load_model(tensors, stage.model.topology, [], 0.0)
