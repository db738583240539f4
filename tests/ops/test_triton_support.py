"""When the Triton kernels are refused, in words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from asr_ligru.errors import ConfigError
from asr_ligru.ops import dispatch, fused_triton
from asr_ligru.ops.fused_triton import support


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Pretend to have an A100."""
    properties = SimpleNamespace(multi_processor_count=108, shared_memory_per_block_optin=166912)
    monkeypatch.setattr(support.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return properties


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("hidden_size", [1, 64, 550, 1024])
def test_refusal_usual_gpu_is_empty(hidden_size: int) -> None:
    assert fused_triton.refusal("ligru", torch.float32, hidden_size) == ""


@pytest.mark.usefixtures("gpu")
def test_refusal_float64_says_so() -> None:
    assert "carry their state in float32, this is torch.float64" in fused_triton.refusal("ligru", torch.float64, 5)


@pytest.mark.usefixtures("gpu")
def test_refusal_too_many_units_says_so() -> None:
    assert "weights of 9000 units do not fit" in fused_triton.refusal("ligru", torch.float32, 9000)


@pytest.mark.parametrize("cell", ["ligru", "sligru"])
def test_refusal_too_few_multiprocessors_is_for_sligru_only(gpu: SimpleNamespace, cell: str) -> None:
    gpu.multi_processor_count = 20
    reason = fused_triton.refusal(cell, torch.float32, 550)
    assert reason == ("an SLi-GRU of 550 units needs 35 multiprocessors at the same time" if cell == "sligru" else "")


@pytest.mark.usefixtures("gpu")
def test_refusal_old_gpu_names_its_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert "need compute capability 8.0, this GPU has 7.5" in fused_triton.refusal("ligru", torch.float32, 5)


@pytest.mark.usefixtures("gpu")
def test_refusal_rocm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert "AMD" in fused_triton.refusal("ligru", torch.float32, 5)


@pytest.mark.usefixtures("gpu")
def test_refusal_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fused_triton.refusal("ligru", torch.float32, 5) == "torch sees no CUDA device"


def test_refusal_without_triton_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support.importlib.util, "find_spec", lambda name: None)
    assert fused_triton.refusal("ligru", torch.float32, 5) == "triton is not installed"


def test_choice_of_triton_that_cannot_run_is_an_error_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_triton, "refusal", lambda *_: "triton is not installed")
    with pytest.raises(ConfigError, match=r"cell\.backend=triton cannot run ligru: triton is not installed"):
        dispatch._choose("ligru", "triton", "cuda", torch.float32, 7)


def test_choice_on_gpu_in_float64_is_stepped_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", dispatch.__name__):
        assert dispatch._choose("ligru", "auto", "cuda", torch.float64, 11) == "stepped"
    assert "triton kernels carry their state in float32" in caplog.text


def test_precision_is_tf32_only_when_torch_was_told_so() -> None:
    before = [support.precision(dtype) for dtype in (torch.float32, torch.bfloat16)]
    torch.set_float32_matmul_precision("high")
    try:
        after = [support.precision(dtype) for dtype in (torch.float32, torch.bfloat16)]
    finally:
        torch.set_float32_matmul_precision("highest")
    assert (before, after) == (["ieee", "ieee"], ["tf32", "ieee"])
