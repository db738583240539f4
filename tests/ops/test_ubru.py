"""uBRU against its definition: the two-state hidden Markov model, every path of it summed up."""

from __future__ import annotations

import itertools

import pytest
import torch
from tolerance import assert_all_close, assert_close
from torch import Tensor

from asr_ligru.ops.ubru.reference import recurrence, smoother

NAMES = ("filtered", "smoothed", "gradient of wx", "gradient of p0", "gradient of p1", "gradient of p2")
NUM_FRAMES = 6


def _parameters(seed: int = 0) -> list[Tensor]:
    """Return wx (2, 3, T, 4), log-odds (2, 3, 4) of p0, and those of p1 and p2, (2, 4) each; none is close to 0.5."""
    random = torch.Generator().manual_seed(seed)
    shapes = [(2, 3, NUM_FRAMES, 4), (2, 3, 4), (2, 4), (2, 4)]
    return [2 * torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


def _fast(wx: Tensor, p0: Tensor, p1: Tensor, p2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probabilities (2, 3, T, 4) of being on, from the input so far and from all of it."""
    options = {"p1_logit": p1, "p2_logit": p2}
    filtered = recurrence(wx, wx.new_empty(2, 0, 4), p0, **options)
    smoothed = smoother(filtered.flip(2), **options).flip(2)
    return torch.sigmoid(filtered), torch.sigmoid(smoothed)


def _by_enumeration(wx: Tensor, p0: Tensor, p1: Tensor, p2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same from the probabilities of all 2^(T+1) paths, the state before the first frame included."""
    start, stay, come = torch.sigmoid(p0), torch.sigmoid(p1).unsqueeze(1), torch.sigmoid(p2).unsqueeze(1)
    likelihood_off = torch.exp(wx)  # relative to the one of being on
    prefixes = [torch.zeros(2, 2, 3, 4, dtype=wx.dtype) for _ in range(NUM_FRAMES)]  # [on or not at t]
    whole = [torch.zeros_like(x) for x in prefixes]
    for path in itertools.product((0, 1), repeat=NUM_FRAMES + 1):
        weight, so_far = (start if path[0] else 1 - start), []
        for t, (before, now) in enumerate(itertools.pairwise(path)):
            on = stay if before else come
            weight = weight * (on if now else (1 - on) * likelihood_off[:, :, t])
            so_far.append(weight)
        for t, now in enumerate(path[1:]):
            future = 2 ** (NUM_FRAMES - 1 - t)  # paths that go on from here: each brings the same prefix
            prefixes[t] = prefixes[t].index_add(0, torch.tensor([now]), so_far[t].unsqueeze(0) / future)
            whole[t] = whole[t].index_add(0, torch.tensor([now]), weight.unsqueeze(0))
    filtered, smoothed = (torch.stack([x[1] / x.sum(0) for x in sums], dim=2) for sums in (prefixes, whole))
    return filtered, smoothed


def test_ubru_filter_and_smoother_equal_enumeration_with_every_gradient() -> None:
    results = []
    for function in (_fast, _by_enumeration):
        leaves = [x.requires_grad_() for x in _parameters()]
        filtered, smoothed = function(*leaves)
        weights = torch.linspace(-1, 1, smoothed.numel(), dtype=torch.float64).view_as(smoothed)
        results.append([filtered, smoothed, *torch.autograd.grad((smoothed * weights + filtered**2).sum(), leaves)])
    assert_all_close(*results, NAMES)


def test_ubru_smoother_begins_with_what_the_filter_ends_with() -> None:
    filtered, smoothed = _fast(*_parameters())
    assert torch.equal(filtered[:, :, -1], smoothed[:, :, -1])
    assert (filtered - smoothed)[:, :, :-1].abs().max() > 0.1


def test_ubru_input_above_ten_counts_as_ten() -> None:
    wx, *rest = _parameters()
    wx[:, :, 2] = 10
    expected = _fast(wx, *rest)
    wx[:, :, 2] = 1e4
    assert_all_close(_fast(wx, *rest), expected, NAMES[:2])


def test_ubru_dropped_unit_goes_on_without_input() -> None:
    wx, p0, p1, p2 = _parameters()
    mask = (torch.arange(4) > 1).double().expand(2, 3, 4)
    first = torch.sigmoid(recurrence(wx, wx.new_empty(2, 0, 4), p0, mask, p1_logit=p1, p2_logit=p2)[:, :, 0])
    on, stay, come = torch.sigmoid(p0), torch.sigmoid(p1).unsqueeze(1), torch.sigmoid(p2).unsqueeze(1)
    assert_close(first[..., :2], (stay * on + come * (1 - on))[..., :2])
    assert_close(first[..., 2:], _fast(wx, p0, p1, p2)[0][:, :, 0, 2:])


@pytest.mark.parametrize("size", [1e-3, 30.0, 1e4])
def test_ubru_extreme_inputs_and_probabilities_give_finite_results(size: float) -> None:
    leaves = [(x.float() * size).requires_grad_() for x in _parameters()]
    filtered, smoothed = _fast(*leaves)
    grads = torch.autograd.grad((filtered + smoothed).sum(), leaves)
    assert all(x.isfinite().all() for x in (filtered, smoothed, *grads))
