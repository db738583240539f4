from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import torch
from recurrence_case import LAYERS, Case, extras
from tolerance import assert_close

from asr_ligru.errors import ConfigError
from asr_ligru.ops import dispatch, fused_cpu, fused_triton
from asr_ligru.ops.packing import Packing


@pytest.fixture(autouse=True)
def _fresh_choices() -> Iterator[None]:
    dispatch._choose.cache_clear()
    yield
    dispatch._choose.cache_clear()


@pytest.fixture
def without_core(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "asr_ligru")  # shown without any settings; the command line shows more
    monkeypatch.setattr(fused_cpu, "refusal", lambda: "the compiled core was not built")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("backend", ["auto", "cpu"])
@pytest.mark.parametrize("cell", LAYERS)
def test_recurrence_any_backend_equals_reference(cell: str, backend: str, dtype: torch.dtype) -> None:
    inputs, precise = Case(cell, dtype=dtype).inputs(), Case(cell).inputs()
    expected = dispatch.recurrence(cell, *precise, backend="reference", **extras(cell, precise[1]))
    assert_close(dispatch.recurrence(cell, *inputs, backend=backend, **extras(cell, inputs[1])), expected)


@pytest.mark.parametrize("backend", ["reference", "auto", "cpu"])
@pytest.mark.parametrize("own", [1, 2])
@pytest.mark.parametrize("cell", LAYERS)
def test_packed_any_backend_equals_each_sequence_alone(cell: str, own: int, backend: str) -> None:
    lens = torch.tensor([4, 1, 7])
    case = Case(cell, own=own, num_frames=7, dtype=torch.float32)
    wx, u, h0, mask = case.inputs()
    assert mask is not None
    padding, options = torch.zeros(wx.shape[-1]), extras(cell, u)
    wx = torch.randn(12, own * wx.shape[-1])
    got = dispatch.packed(cell, wx, Packing(lens, 7, 2), u, h0, mask, padding=padding, backend=backend, **options)
    for b, (rows, states) in enumerate(zip(wx.split(lens.tolist()), got.split(lens.tolist()), strict=True)):
        alone = rows.view(len(rows), own, -1).transpose(0, 1).expand(2, -1, -1)
        alone = torch.stack((alone[0], alone[1].flip(0))).unsqueeze(1)
        forward, reverse = dispatch.recurrence(
            cell, alone, u, h0[:, b : b + 1], mask[:, b : b + 1], backend="reference", **options
        )
        assert_close(states, torch.cat((forward[0], reverse[0].flip(0)), dim=1))


@pytest.mark.parametrize(
    ("dtype", "backend", "reason"),
    [
        pytest.param(torch.float32, "cpu", "", marks=pytest.mark.skipif(bool(fused_cpu.refusal()), reason="no core")),
        (torch.float64, "stepped", "; the compiled core computes in float32, this is torch.float64"),
    ],
    ids=str,
)
def test_recurrence_auto_logs_choice_once_with_reason(
    caplog: pytest.LogCaptureFixture, dtype: torch.dtype, backend: str, reason: str
) -> None:
    with caplog.at_level(logging.INFO, dispatch.__name__):
        for _ in range(3):
            dispatch.recurrence("ligru", *Case("ligru", dtype=dtype).inputs())
    why = f"triton runs on a GPU, this is on 'cpu'{reason}"
    assert caplog.messages == [f"ligru on cpu in {dtype} runs with backend {backend} ({why})"]
    assert caplog.records[0].levelno == logging.INFO


@pytest.mark.usefixtures("without_core")
@pytest.mark.parametrize("backend", ["auto", "cpu"])
def test_recurrence_without_core_steps_and_says_so_in_one_line(caplog: pytest.LogCaptureFixture, backend: str) -> None:
    case = Case("ligru", dtype=torch.float32)
    states = [dispatch.recurrence("ligru", *case.inputs(), backend=backend) for _ in range(3)]
    assert_close(states[0], dispatch.recurrence("ligru", *case.with_dtype(torch.float64).inputs(), backend="reference"))
    (message,) = caplog.messages
    assert "runs with backend stepped" in message
    assert "the compiled core was not built" in message
    assert "\n" not in message


@pytest.mark.usefixtures("without_core")
def test_recurrence_without_core_where_it_would_not_run_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    dispatch.recurrence("ligru", *Case("ligru").inputs())
    dispatch.recurrence("ligru", *Case("ligru", dtype=torch.float32).inputs(), backend="stepped")
    assert not caplog.messages


def test_recurrence_triton_without_gpu_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="triton runs on a GPU, this is on 'cpu'"):
        dispatch.recurrence("ligru", *Case("ligru").inputs(), backend="triton")


def test_refusal_triton_of_other_cell_names_it() -> None:
    assert dispatch.refusal("triton", "gru_bn", "cuda", torch.float32) == "triton has no gru_bn in this version"


def test_recurrence_triton_is_first_choice_on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_triton, "refusal", lambda *_: "")
    assert dispatch._choose("ligru", "auto", "cuda", torch.float32, 5) == "triton"
    assert dispatch._choose("gru_bn", "auto", "cuda", torch.float32, 5) == "stepped"


def test_refusal_core_on_gpu_names_the_device() -> None:
    assert "this is on 'cuda'" in dispatch.refusal("cpu", "ligru", "cuda", torch.float32)


def test_recurrence_unknown_backend_names_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown backend 'refrence'") as caught:
        dispatch.recurrence("ligru", *Case("ligru").inputs(), backend="refrence")
    assert "'reference'" in caught.value.fix


def test_recurrence_under_autocast_carries_float32_state() -> None:
    wx, u, h0, mask = Case("ligru", dtype=torch.float32).inputs()
    expected = dispatch.recurrence("ligru", wx.bfloat16().float(), u, h0, mask, backend="stepped")
    leaves = [x.requires_grad_() for x in (wx, u, h0)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = dispatch.recurrence("ligru", wx.bfloat16(), u, h0, mask, backend="stepped")
        grads = torch.autograd.grad(states.sum(), leaves)
    assert_close(states, expected)
    assert all(x.dtype == torch.float32 for x in grads)


@pytest.mark.parametrize("wrong", ["wx", "u", "h0", "mask"])
def test_recurrence_shape_that_does_not_fit_is_named(wrong: str) -> None:
    inputs = dict(zip(("wx", "u", "h0", "mask"), Case("ligru", dtype=torch.float32).inputs(), strict=True))
    inputs[wrong] = {"wx": torch.zeros(2, 3, 70, 11), "u": torch.zeros(3, 10, 5)}.get(wrong, torch.zeros(2, 4, 5))
    with pytest.raises(ValueError, match=f"shape of {wrong} does not fit"):
        dispatch.recurrence("ligru", *inputs.values())


def test_packed_wrong_number_of_frames_is_refused() -> None:
    _, u, h0, mask = Case("ligru", dtype=torch.float32).inputs()
    packing = Packing(torch.tensor([4, 1, 7]), 7, 2)
    with pytest.raises(ValueError, match="shape of wx"):
        dispatch.packed("ligru", torch.zeros(11, 10), packing, u, h0, mask, padding=torch.zeros(10))
