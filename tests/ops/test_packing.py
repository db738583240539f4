from __future__ import annotations

import pytest
import torch

from asr_ligru.ops import lengths
from asr_ligru.ops.packing import Packing

LENS = torch.tensor([5, 1, 6, 3])
FULL = torch.tensor([6, 6, 6, 6])
PADDING = torch.tensor([7.0, 8.0])


@pytest.fixture(params=[LENS, FULL], ids=["ragged", "full"])
def lens(request: pytest.FixtureRequest) -> torch.Tensor:
    return request.param


def _by_hand(x: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
    return torch.cat([row[:n] for row, n in zip(x, lens.tolist(), strict=True)])


def test_pack_concatenates_valid_frames(lens: torch.Tensor) -> None:
    x = torch.randn(4, 6, 3)
    assert torch.equal(Packing(lens, 6, 2).pack(x), _by_hand(x, lens))


def test_unpack_pack_keeps_valid_frames_and_zeroes_padding(lens: torch.Tensor) -> None:
    x = torch.randn(4, 6, 3)
    packing = Packing(lens, 6, 1)
    assert torch.equal(packing.unpack(packing.pack(x)), x * lengths.mask(lens, 6).unsqueeze(2))


def test_pack_longer_buffer_than_any_sequence() -> None:
    x = torch.randn(2, 9, 3)
    packing = Packing(torch.tensor([4, 4]), 9, 2)
    assert torch.equal(packing.unpack(packing.pack(x))[:, 4:], torch.zeros(2, 5, 3))


def test_spread_shared_reverses_second_direction_and_fills_padding(lens: torch.Tensor) -> None:
    x = torch.randn(4, 6, 2)
    packing = Packing(lens, 6, 2)
    valid = lengths.mask(lens, 6).unsqueeze(2)
    expected = torch.stack([torch.where(valid, y, PADDING) for y in (x, lengths.reverse(x, lens))])
    assert torch.equal(packing.spread(packing.pack(x), PADDING), expected)


def test_spread_separate_directions_take_their_own_columns(lens: torch.Tensor) -> None:
    x, y = torch.randn(4, 6, 2), torch.randn(4, 6, 2)
    packing = Packing(lens, 6, 2)
    valid = lengths.mask(lens, 6).unsqueeze(2)
    expected = torch.stack([torch.where(valid, z, PADDING) for z in (x, lengths.reverse(y, lens))])
    assert torch.equal(packing.spread(packing.pack(torch.cat((x, y), dim=2)), PADDING), expected)


@pytest.mark.parametrize("directions", [1, 2])
def test_collect_undoes_spread(lens: torch.Tensor, directions: int) -> None:
    packing = Packing(lens, 6, directions)
    x = torch.randn(packing.num_valid, directions * 2)
    assert torch.equal(packing.collect(packing.spread(x, PADDING)), x)


def test_spread_gradient_sums_directions_and_ignores_padding() -> None:
    packing = Packing(LENS, 6, 2)
    x = torch.randn(packing.num_valid, 2, requires_grad=True)
    packing.spread(x, PADDING).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 2.0))


def test_last_is_end_forward_and_beginning_in_reverse() -> None:
    packing = Packing(LENS, 6, 2)
    x, y = torch.randn(4, 6, 2), torch.randn(4, 6, 2)
    states = packing.pack(torch.cat((x, y), dim=2)).view(-1, 2, 2)
    ends = torch.stack([row[n - 1] for row, n in zip(x, LENS.tolist(), strict=True)])
    assert torch.equal(packing.last(states), torch.stack([ends, y[:, 0]]))


def test_packing_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="lens must lie in"):
        Packing(torch.tensor([3, 9]), 6, 2)
