"""How rows and hidden units are shared out over programs."""

from __future__ import annotations

import pytest
import torch

from asr_ligru.ops.fused_triton.plan import Device, Plan, plan

GPUS = {
    "H100": Device(programs=132, shared_bytes=232448),
    "A100": Device(programs=108, shared_bytes=166912),
    "RTX 3060": Device(programs=28, shared_bytes=101376),
    "a slice of an H100": Device(programs=16, shared_bytes=232448),
}
HIDDEN = (1, 5, 64, 300, 512, 550, 1024)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("name", GPUS)
def test_plan_any_gpu_covers_all_and_never_launches_more_than_run_together(
    name: str, hidden: int, dtype: torch.dtype, parts: int
) -> None:
    gpu = GPUS[name]
    for rows in (1, 32, 128, 1000):
        found = plan(rows, 2, hidden, dtype, gpu, parts)
        if found is None:
            assert hidden > 512
            assert gpu.shared_bytes < 110000
            continue
        assert found.tiles * found.units >= hidden > (found.tiles - 1) * found.units
        assert found.width >= found.k >= hidden
        assert found.together * found.tiles <= gpu.programs
        assert found.shared_bytes(dtype, parts) <= gpu.shared_bytes


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_plan_h100_takes_all_frames_in_one_launch(hidden: int, dtype: torch.dtype) -> None:
    for parts in (1, 2):
        found = plan(32, 1, hidden, dtype, GPUS["H100"], parts)
        assert isinstance(found, Plan)
        assert found.together > 0
