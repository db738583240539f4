from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from asr_ligru.features.deltas import add_deltas

from .conftest import UTTERANCES


@pytest.mark.parametrize("utterance", UTTERANCES)
@pytest.mark.parametrize(("name", "order", "window"), [("add_deltas", 2, 2), ("add_deltas_o1w3", 1, 3)])
def test_add_deltas_each_setting_equals_kaldi(
    kaldi: Mapping[str, Tensor], name: str, order: int, window: int, utterance: str
) -> None:
    feats = add_deltas(kaldi[f"8k/mfcc_default/{utterance}"], order, window)
    torch.testing.assert_close(feats, kaldi[f"8k/post/{name}/{utterance}"], rtol=1e-5, atol=1e-5)


def test_add_deltas_order_zero_changes_nothing() -> None:
    feats = torch.rand(5, 3)
    assert add_deltas(feats, 0) is feats


def test_add_deltas_one_frame_has_no_differences() -> None:
    feats = add_deltas(torch.tensor([[1.0, 2.0]]), 3)
    torch.testing.assert_close(feats, torch.tensor([[1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]), rtol=0, atol=1e-7)


def test_add_deltas_of_a_cubic_are_its_derivatives_inside() -> None:
    t = torch.arange(40, dtype=torch.float64)
    first, second, third = add_deltas((t**3)[:, None], 3)[6:-6, 1:].unbind(1)
    t = t[6:-6]
    torch.testing.assert_close(third, torch.full_like(t, 6.0))
    torch.testing.assert_close(second, 6 * t)
    torch.testing.assert_close(first, 3 * t**2 + 34 / 10)  # sum j^4 / sum j^2 over j = -2 .. 2
