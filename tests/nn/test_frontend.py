"""Frame stacking: what torch's unfold gives, with the last group filled by zeros."""

from __future__ import annotations

import pytest
import torch

from asr_ligru.nn.frontend import StackFrames


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_stack_whole_groups_equals_unfold(factor: int) -> None:
    x = torch.randn(2, 24, 5)
    stacked, lens = StackFrames(factor)(x, torch.tensor([24, 24]))
    unfolded = x.unfold(1, factor, factor)  # (B, T', F, factor)
    assert torch.equal(stacked, unfolded.transpose(2, 3).reshape(2, 24 // factor, 5 * factor))
    assert lens.tolist() == [24 // factor] * 2


@pytest.mark.parametrize("time", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_stack_incomplete_group_is_filled_with_zeros(time: int, factor: int) -> None:
    x = torch.randn(1, time, 2)
    stacked, lens = StackFrames(factor)(x, torch.tensor([time]))
    groups = [x[0, start : start + factor].flatten() for start in range(0, time, factor)]
    assert stacked.shape == (1, len(groups), 2 * factor)
    assert lens.tolist() == [len(groups)]
    for row, group in zip(stacked[0], groups, strict=True):
        assert torch.equal(row[: len(group)], group)
        assert not row[len(group) :].any()


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 8])
def test_stack_lengths_are_rounded_up_and_equal_output_length(factor: int) -> None:
    stack, lens = StackFrames(factor), torch.arange(1, 41)
    stacked, out = stack(torch.zeros(40, 40, 1), lens)
    assert out.dtype == torch.int64
    assert out.tolist() == torch.ceil(lens / factor).long().tolist()
    assert out.tolist() == [stack.output_length(n) for n in lens.tolist()]
    assert int(out.max()) == stacked.shape[1]


def test_stack_alone_equals_padded() -> None:
    x = torch.randn(2, 11, 3)
    x[0, 7:] = torch.nan  # behind the end, and never read
    stack = StackFrames(4)
    together, lens = stack(x, torch.tensor([7, 11]))
    alone, alone_lens = stack(x[:1, :7], torch.tensor([7]))
    assert int(alone_lens) == int(lens[0]) == alone.shape[1]
    assert torch.equal(together[:1, : int(lens[0])], alone)
