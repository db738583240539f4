from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from asr_ligru import ranks
from asr_ligru.errors import DataError
from asr_ligru.nn.norm import FrameBatchNorm
from tests.tolerance import assert_close

np = pytest.importorskip("numpy")  # the GPU's tests beside these do without it
FRAMES, CHANNELS = 23, 5
PARTS = (slice(0, 4), slice(4, 23))


def case() -> tuple[Tensor, Tensor]:
    """Return frames far from mean 0, and the gradient of what is made of them."""
    generator = torch.Generator().manual_seed(3)
    frames = 2 * torch.randn(FRAMES, CHANNELS, generator=generator) + 30 * torch.arange(CHANNELS)
    return frames, torch.randn(FRAMES, CHANNELS, generator=generator)


def work(norm: nn.Module, frames: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    frames = frames.clone().requires_grad_()
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5, generator=torch.Generator().manual_seed(5))
    normalised = norm(frames)
    (normalised * gradient).sum().backward()
    return {
        "normalised": normalised.detach(),
        "d_frames": frames.grad,
        "d_weight": norm.weight.grad,
        "d_bias": norm.bias.grad,
        "mean": norm.running_mean,
        "var": norm.running_var,
        "batches": norm.num_batches_tracked,
    }


def in_a_rank(folder: Path, num_parts: int) -> None:
    """Take a part of the frames; without one left, those of the first that do not count."""
    own, counted = ranks.rank() % num_parts, ranks.rank() < num_parts
    norm = FrameBatchNorm(CHANNELS)
    norm.shared, norm.counted = True, counted
    frames, gradient = (tensor[PARTS[own]] if num_parts > 1 else tensor for tensor in case())
    found = work(norm, frames, gradient * counted)
    np.savez(folder / f"{ranks.rank()}.npz", **{name: tensor.numpy() for name, tensor in found.items()})


@pytest.mark.parametrize("num_parts", [1, 2])
def test_shared_norm_of_two_or_three_ranks_equals_torchs_of_one(num_parts: int, tmp_path: Path) -> None:
    from tests import several_ranks  # needs packages that the tests for GPUs beside this do without

    count = num_parts + 1  # the last one has no frames of its own
    several_ranks.run(count, lambda: in_a_rank(tmp_path, num_parts))
    expected = work(nn.BatchNorm1d(CHANNELS, momentum=0.05), *case())
    found = []
    for rank in range(count):
        with np.load(tmp_path / f"{rank}.npz") as arrays:
            found.append({name: torch.from_numpy(arrays[name]) for name in arrays})
    for name in ("normalised", "d_frames"):
        assert_close(torch.cat([part[name] for part in found[:num_parts]]), expected[name], name)
    for name in ("d_weight", "d_bias"):
        assert_close(sum(part[name] for part in found), expected[name], name)
    assert not found[-1]["d_frames"].any()
    for part in found:
        assert_close(part["mean"], expected["mean"], "mean")
        assert_close(part["var"], expected["var"], "var")
        assert part["batches"] == 1


def test_shared_norm_of_one_frame_is_refused() -> None:
    norm = FrameBatchNorm(CHANNELS)
    norm.shared = True
    with pytest.raises(DataError, match="at least 2"):
        norm(torch.zeros(1, CHANNELS))
