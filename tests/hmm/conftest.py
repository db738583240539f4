"""Fixtures of the GMM-HMM tests."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr_ligru.hmm.diag_gmm import DiagGmm
from asr_ligru.hmm.gmm_set import GmmSet
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.topology import Topology, Transitions
from asr_ligru.hmm.tree import ContextTree


@pytest.fixture(scope="session")
def kaldi_alignments(shared: Path) -> dict[str, Any]:
    """Return Kaldi's alignments of ten utterances, and the model they were made with."""
    with np.load(shared / "oracles" / "fmllr" / "hmm_align.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def kaldi_model(kaldi_alignments: dict[str, Any]) -> AcousticModel:
    """Return the monophone model that Kaldi aligned with."""
    data = kaldi_alignments
    topology = Topology(tuple(str(name) for name in data["phones"]))
    table = ContextTree.monophone(topology).table.clone()
    stay = torch.zeros(int(data["gauss_to_pdf"].max()) + 1, dtype=torch.float64)
    for (_, phone, state, pdf, loops), log_prob in zip(
        data["transition_table"], data["transition_logprob"], strict=True
    ):
        table[phone, :, :, state] = int(pdf)
        if loops:
            stay[pdf] = math.exp(log_prob)
    inv_vars = torch.from_numpy(data["inv_vars"]).double()
    means = torch.from_numpy(data["means_invvars"]).double() / inv_vars
    sizes = torch.bincount(torch.from_numpy(data["gauss_to_pdf"]).long())
    gmms = GmmSet(
        DiagGmm(torch.from_numpy(data["weights"]).double(), means, inv_vars),
        torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]),
    )
    return AcousticModel(ContextTree(topology, table), Transitions(stay), gmms)
