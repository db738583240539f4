"""Losses of heads together equal sums of torch's own losses, and figures are those of each head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, ctc_loss

from asr_ligru.compose import compose
from asr_ligru.config import TokensConfig
from asr_ligru.text.tokenizer import build_tokenizer
from asr_ligru.train.hybrid import HybridObjective
from asr_ligru.train.objective import CtcObjective, JointObjective
from asr_ligru.train.split import Split
from asr_ligru.typing import Batch
from tests.hmm.hybrid_case import tiny_hmm
from tests.tolerance import assert_close

TOKENIZER = build_tokenizer(TokensConfig(), ["GO", "NO"], None)
NO_DEV = Split([], [], [])
FRAMES, STEPS = [9, 4, 7], [5, 2, 4]  # two frames are one step
SPELLED = [[1, 2, 2], [], [3, 1]]  # of the second, too short, nothing is spelled
NUM_STATES, NUM_PHONES, VOCAB_SIZE = 12, 4, 5


def random_log_probs(*shape: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(3, *shape, generator=rng).log_softmax(-1).requires_grad_()


def case() -> tuple[list[Tensor], Batch]:
    """Return the predictions of all heads, two inner layers among them, and a batch."""
    predictions = [
        random_log_probs(9, NUM_STATES, seed=0),
        random_log_probs(9, NUM_PHONES, seed=1),
        torch.tensor(FRAMES),
        random_log_probs(5, VOCAB_SIZE, seed=2),
        torch.tensor(STEPS),
        random_log_probs(5, VOCAB_SIZE, seed=3),
        random_log_probs(5, VOCAB_SIZE, seed=4),
    ]
    states = torch.randint(NUM_STATES, (3, 9), generator=torch.Generator().manual_seed(5))
    tokens = torch.zeros(3, 3, dtype=torch.int64)
    for row, ids in zip(tokens, SPELLED, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    counts = torch.tensor([len(ids) for ids in SPELLED])
    lens = torch.tensor(FRAMES)
    return predictions, Batch(("a", "b", "c"), torch.zeros(3, 9, 1), lens, states, lens, 1, tokens, counts)


def torchs_ctc(log_probs: Tensor, steps: int, ids: list[int]) -> Tensor:
    """Return torch's CTC loss of one utterance in nats."""
    targets = torch.tensor(ids, dtype=torch.int64)
    return ctc_loss(log_probs[:steps], targets, torch.tensor(steps), torch.tensor(len(ids)), reduction="sum")


def joint(weight: float, *more: str) -> JointObjective:
    config = compose(["model=hybrid", *more])
    hybrid = HybridObjective(tiny_hmm(), NO_DEV, config)
    return JointObjective(hybrid, CtcObjective(TOKENIZER, NO_DEV, inner_weight=config.model.inter_ctc_weight), weight)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("num_inner", [0, 1, 2])
def test_ctc_losses_with_inner_layers_equal_torchs_weighted_sum(num_inner: int, share: float) -> None:
    predictions, batch = case()
    last, _, *inner = predictions[3:]
    used = inner[:num_inner]
    spelled = Batch(batch.utt_ids, batch.feats, batch.feat_lens, batch.ctc_tokens, batch.ctc_token_lens)
    losses = CtcObjective(TOKENIZER, NO_DEV, inner_weight=share).losses([last, torch.tensor(STEPS), *used], spelled)
    for row, (steps, ids) in enumerate(zip(STEPS, SPELLED, strict=True)):
        expected = torchs_ctc(last[row], steps, ids)
        if used:
            others = torch.stack([torchs_ctc(layer[row], steps, ids) for layer in used])
            expected = (1 - share) * expected + share * others.mean()
        assert_close(losses[row], expected)


@pytest.mark.parametrize("num_inner", [0, 2])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_joint_losses_equal_torchs_cross_entropy_and_ctc(weight: float, num_inner: int) -> None:
    predictions, batch = case()
    used = predictions[: 5 + num_inner]
    settings = ["model.phone_weight=0.5", "model.label_smoothing=0.1", "model.inter_ctc_weight=0.4"]
    losses = joint(weight, *settings).losses(used, batch)
    for row, (frames, steps, ids) in enumerate(zip(FRAMES, STEPS, SPELLED, strict=True)):
        states = batch.tokens[row, :frames]
        smooth = {"reduction": "sum", "label_smoothing": 0.1}
        expected = cross_entropy(predictions[0][row, :frames], states, **smooth)
        expected = expected + 0.5 * cross_entropy(
            predictions[1][row, :frames], states // 3, **smooth
        )  # three to a phone
        if ids:
            last, first, second = (torchs_ctc(predictions[n][row], steps, ids) for n in (3, 5, 6))
            expected = expected + weight * (0.6 * last + 0.4 * (first + second) / 2 if num_inner else last)
        assert_close(losses[row], expected)


def test_joint_gradient_of_an_utterance_without_tokens_is_that_of_its_states() -> None:
    predictions, batch = case()
    objective = joint(0.7)
    losses = objective.losses(predictions, batch)
    grads = torch.autograd.grad(losses.sum(), [predictions[n] for n in (0, 1, 3, 5)])
    plain = objective.states.losses(predictions[:3], batch)
    expected = torch.autograd.grad(plain.sum(), predictions[:2])
    assert all(torch.equal(a, b) for a, b in zip(grads[:2], expected, strict=True))
    for of_tokens in grads[2:]:
        assert not of_tokens[1].any()
        assert of_tokens[0].any()
        assert not of_tokens[0, STEPS[0] :].any()


def test_joint_losses_of_a_batch_without_any_tokens_are_those_of_the_states() -> None:
    predictions, batch = case()
    none = torch.zeros(3, 0, dtype=torch.int64)
    lens = torch.tensor(FRAMES)
    bare = Batch(batch.utt_ids, batch.feats, lens, batch.tokens, lens, 1, none, torch.zeros(3, dtype=torch.int64))
    objective = joint(0.7)
    losses = objective.losses(predictions, bare)
    assert torch.equal(losses, objective.states.losses(predictions[:3], bare))
    (grad,) = torch.autograd.grad(losses.sum(), predictions[3])
    assert not grad.any()
