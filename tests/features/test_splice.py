from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from asr_ligru.features.splice import splice

from .conftest import UTTERANCES


@pytest.mark.parametrize("utterance", UTTERANCES)
@pytest.mark.parametrize(("name", "left", "right"), [("splice4", 4, 4), ("splice_l2r1", 2, 1)])
def test_splice_each_setting_equals_kaldi(
    kaldi: Mapping[str, Tensor], name: str, left: int, right: int, utterance: str
) -> None:
    assert torch.equal(splice(kaldi[f"8k/mfcc_default/{utterance}"], left, right), kaldi[f"8k/post/{name}/{utterance}"])


def test_splice_context_longer_than_the_utterance_repeats_its_edges() -> None:
    feats = torch.tensor([[1.0], [2.0]])
    assert splice(feats, 3, 2).tolist() == [[1, 1, 1, 1, 2, 2], [1, 1, 1, 2, 2, 2]]


def test_splice_no_context_changes_nothing() -> None:
    feats = torch.rand(5, 3)
    assert splice(feats, 0, 0) is feats
