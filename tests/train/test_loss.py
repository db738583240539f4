"""The loss equals torch's, called for each utterance alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, ctc_loss

from asr_ligru.train.loss import ctc_losses, frame_losses, per_token
from asr_ligru.typing import Batch
from tests.tolerance import assert_close

TARGETS = ([1, 2, 2], [4], [3, 1, 4, 1, 2], [])
LENS = torch.tensor([7, 12, 9, 4])


def case(targets: tuple[list[int], ...] = TARGETS, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Batch]:
    """Return log probabilities (4, 12, 5) and a batch with these targets."""
    rng = torch.Generator().manual_seed(0)
    log_probs = torch.randn(len(targets), 12, 5, generator=rng).log_softmax(-1).to(dtype).requires_grad_()
    tokens = torch.zeros(len(targets), max(map(len, targets)), dtype=torch.int64)
    for row, ids in zip(tokens, targets, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    counts = torch.tensor([len(ids) for ids in targets])
    ids = tuple(str(n) for n in range(len(targets)))
    return log_probs, Batch(ids, torch.zeros(len(targets), 12, 3), LENS, tokens, counts)


def alone(log_probs: Tensor, frames: int, ids: list[int]) -> Tensor:
    """Return torch's loss of one utterance, in its form without a batch."""
    args = torch.tensor(ids, dtype=torch.int64), torch.tensor(frames), torch.tensor(len(ids))
    return ctc_loss(log_probs[:frames], *args, reduction="sum")


def test_losses_equal_torchs_of_each_alone() -> None:
    log_probs, batch = case()
    losses = ctc_losses(log_probs, LENS, batch)
    assert losses.dtype == torch.float32
    assert losses.shape == (4,)
    expected = [alone(row, frames, ids) for row, frames, ids in zip(log_probs, LENS.tolist(), TARGETS, strict=True)]
    assert_close(losses, torch.stack(expected))


def test_gradients_equal_torchs_of_each_alone_and_are_zero_behind_the_end() -> None:
    log_probs, batch = case()
    (got,) = torch.autograd.grad(ctc_losses(log_probs, LENS, batch).sum(), log_probs)
    for row, (frames, ids) in enumerate(zip(LENS.tolist(), TARGETS, strict=True)):
        (expected,) = torch.autograd.grad(alone(log_probs[row], frames, ids), log_probs)
        assert_close(got[row], expected[row])
        assert not got[row, frames:].any()


def test_loss_of_the_only_path_is_minus_its_log_probability() -> None:
    log_probs, batch = case(([1, 2, 3],))
    lens = torch.tensor([3])
    expected = -(log_probs[0, 0, 1] + log_probs[0, 1, 2] + log_probs[0, 2, 3])
    assert_close(ctc_losses(log_probs, lens, batch), expected[None])


def test_loss_of_too_few_frames_is_infinite_for_that_utterance_alone() -> None:
    log_probs, batch = case(([1, 2, 3], [1, 1], [4]))
    losses = ctc_losses(log_probs, torch.tensor([2, 2, 1]), batch)
    assert [math.isinf(loss) for loss in losses.tolist()] == [True, True, False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_losses_are_computed_in_float32(dtype: torch.dtype) -> None:
    log_probs, batch = case(dtype=dtype)
    losses = ctc_losses(log_probs, LENS, batch)
    assert losses.dtype == torch.float32
    assert torch.equal(losses, ctc_losses(log_probs.float(), LENS, batch))


def test_per_token_divides_by_all_tokens_of_the_batch() -> None:
    _, batch = case()
    assert per_token(torch.tensor([1.0, 2.0, 3.0, 12.0]), batch) == (2.0, 2.0)  # 18 nats over 3 + 1 + 5 + 0 tokens


def test_per_token_of_a_batch_without_tokens_is_finite() -> None:
    _, batch = case(([], []))
    assert per_token(torch.tensor([1.0, 2.0]), batch) == (3.0, 3.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_frame_losses_equal_torchs_cross_entropy_of_each_alone(smoothing: float) -> None:
    classes = ([0, 4, 4, 1, 2, 0, 3], [4] * 12, [], [3, 0, 0, 1])  # of the third nothing is known
    log_probs, batch = case(classes)
    losses = frame_losses(log_probs, batch, smoothing)
    for loss, row, ids in zip(losses, log_probs, classes, strict=True):
        targets = torch.tensor(ids, dtype=torch.int64)
        expected = cross_entropy(row[: len(ids)], targets, reduction="sum", label_smoothing=smoothing)
        assert_close(loss, expected)
    (grad,) = torch.autograd.grad(losses.sum(), log_probs)
    assert not any(row[len(ids) :].any() for row, ids in zip(grad, classes, strict=True))
