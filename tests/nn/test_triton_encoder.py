"""Whole encoders on the GPU kernels. Needs torch, triton and pytest only."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from encoder_case import LENS, batch, encoder
from tolerance import assert_close

HERE = importlib.util.find_spec("triton") is not None
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not HERE, reason="triton is not installed")]

CELLS = ("ligru", "sligru", "libru_arith", "libru_harm", "libru_geo")


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_encoder_on_triton_equals_cpu(cell: str, share: bool) -> None:
    expected, state = encoder(cell, share_directions=share)(batch(), LENS)
    model = encoder(cell, share_directions=share, backend="triton").cuda()
    out, last = model(batch().cuda(), LENS.cuda())
    assert_close(out.cpu(), expected)
    assert_close(last.cpu(), state)


@pytest.mark.parametrize("cell", CELLS)
def test_encoder_training_step_on_triton_equals_cpu(cell: str) -> None:
    gradients = []
    for device, backend in (("cpu", "reference"), ("cuda", "triton")):
        model = encoder(cell, hidden_size=40, backend=backend).to(device).train()
        out, _ = model(batch().to(device), LENS.to(device))
        out.square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None]))
    assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("cell", CELLS)
def test_encoder_under_autocast_stays_within_bfloat16(cell: str) -> None:
    model = encoder(cell, hidden_size=40, backend="triton").cuda().train()
    expected, _ = model(batch().cuda(), LENS.cuda())
    with torch.autocast("cuda", dtype=torch.bfloat16):
        out, _ = model(batch().cuda(), LENS.cuda())
    assert out.dtype == torch.float32
    out.square().sum().backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())
    assert (out - expected).norm() <= 5e-2 * expected.norm()


@pytest.mark.parametrize("cell", CELLS)
def test_encoder_step_by_step_on_triton_equals_whole(cell: str) -> None:
    model = encoder(cell, bidirectional=False, backend="triton").cuda()
    x = batch()[2:3].cuda()
    whole, _ = model(x, LENS[2:3].cuda())
    state, frames = None, []
    for t in range(x.shape[1]):
        out, state = model.step(x[:, t], state)
        frames.append(out)
    assert_close(torch.stack(frames, dim=1), whole)
