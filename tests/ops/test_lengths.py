from __future__ import annotations

import pytest
import torch

from asr_ligru.ops import lengths

LENS = torch.tensor([5, 1, 3])


def test_mask_true_at_valid_frames_only() -> None:
    expected = [[True] * 5 + [False], [True] + [False] * 5, [True] * 3 + [False] * 3]
    assert lengths.mask(LENS, 6).tolist() == expected


def test_reverse_mirrors_valid_part_and_leaves_padding() -> None:
    x = torch.arange(3 * 6 * 2).view(3, 6, 2)
    for got, row, n in zip(lengths.reverse(x, LENS), x, LENS.tolist(), strict=True):
        assert torch.equal(got[:n], row[:n].flip(0))
        assert torch.equal(got[n:], row[n:])


def test_reverse_twice_is_identity() -> None:
    x = torch.randn(3, 6, 2, 4)
    assert torch.equal(lengths.reverse(lengths.reverse(x, LENS), LENS), x)


@pytest.mark.parametrize(
    "lens",
    [
        torch.tensor([5, 0, 3]),
        torch.tensor([5, -1, 3]),
        torch.tensor([7, 1, 3]),
        torch.tensor([5, 1]),
        torch.tensor([[5, 1, 3]]),
        torch.tensor([5, 1, 3], dtype=torch.int32),
        torch.tensor([1.0, 0.2, 0.6]),
    ],
    ids=str,
)
def test_check_wrong_lengths_are_refused(lens: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="lens must"):
        lengths.check(lens, 3, 6)


def test_check_good_lengths_pass() -> None:
    lengths.check(torch.tensor([6, 1, 3]), 3, 6)
