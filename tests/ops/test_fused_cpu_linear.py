"""The float32 linear map against float64 and against torch's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from asr_ligru.ops.fused_cpu.linear import linear, product


@pytest.fixture
def _settings() -> Iterator[None]:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


def _run(x: Tensor, w: Tensor, b: Tensor | None, grad: Tensor) -> list[Tensor]:
    inputs = [leaf.detach().requires_grad_() for leaf in (x, w, b) if leaf is not None]
    y = linear(*inputs)
    return [y.detach(), *torch.autograd.grad(y, inputs, grad)]


def _expected(x: Tensor, w: Tensor, b: Tensor | None, grad: Tensor) -> list[Tensor]:
    inputs = [leaf.detach().double().requires_grad_() for leaf in (x, w, b) if leaf is not None]
    y = F.linear(*inputs)
    return [y.detach(), *torch.autograd.grad(y, inputs, grad.double())]


@pytest.mark.parametrize("shape", [(1, 1, 1), (700, 80, 512), (3, 500, 7), (2048, 512, 300)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_equals_float64(shape: tuple[int, int, int], bias: bool) -> None:
    rows, size, out = shape
    x, w, grad = torch.randn(rows, size), torch.randn(out, size), torch.randn(rows, out)
    b = torch.randn(out) if bias else None
    for got, expected in zip(_run(x, w, b, grad), _expected(x, w, b, grad), strict=True):
        assert got.dtype == torch.float32
        assert (got.double() - expected).norm() <= 1e-6 * expected.norm()


def test_linear_three_dimensions_non_contiguous_equals_torch() -> None:
    x, w = torch.randn(7, 4, 6).permute(1, 2, 0), torch.randn(7, 5).t()
    got, grad_x, grad_w = _run(x, w, None, torch.ones(1, 1, 1).expand(4, 6, 5))
    expected = _expected(x, w, None, torch.ones(4, 6, 5))
    for one, other in zip((got, grad_x, grad_w), expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_linear_empty_input_equals_torch(shape: tuple[int, int]) -> None:
    x, w = torch.randn(shape), torch.randn(2, shape[1])
    assert torch.equal(linear(x, w), F.linear(x, w))


def test_linear_float64_takes_torchs_path() -> None:
    x, w = torch.randn(3, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    assert torch.equal(linear(x, w), F.linear(x, w))


@pytest.mark.usefixtures("_settings")
def test_linear_user_asked_for_lower_precision_takes_torchs_path() -> None:
    torch.set_float32_matmul_precision("medium")
    x, w = torch.randn(30, 40), torch.randn(20, 40)
    assert torch.equal(linear(x, w), F.linear(x, w))
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.usefixtures("_settings")
def test_linear_gpus_precision_set_on_its_own_is_none_of_the_cpus() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"  # from here on torch's own getter raises
    x, w = torch.randn(30, 40), torch.randn(20, 40)
    torch.testing.assert_close(linear(x, w), F.linear(x, w))


def test_linear_under_autocast_takes_torchs_path() -> None:
    x, w = torch.randn(3, 4), torch.randn(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, w).dtype == torch.bfloat16


@pytest.mark.usefixtures("_settings")
def test_linear_any_thread_count_same_bits() -> None:
    x, w, grad = torch.randn(3000, 256), torch.randn(512, 256), torch.randn(3000, 512)
    results = []
    for threads in (1, 2, 1):
        torch.set_num_threads(threads)
        results.append(_run(x, w, None, grad))
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


@pytest.mark.parametrize("shape", [(3, 4, 5), (0, 4, 5), (3, 0, 5), (64, 1000, 32)], ids=str)
def test_product_equals_float64(shape: tuple[int, int, int]) -> None:
    a, b = torch.randn(shape[0], shape[1]), torch.randn(shape[1], shape[2])
    torch.testing.assert_close(product(a, b).double(), a.double() @ b.double(), rtol=1e-5, atol=1e-4)
