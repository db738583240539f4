"""Targets are checked before torch's CTC loss, which does not check them, sees them."""

from __future__ import annotations

import random

import pytest
import torch

from asr_ligru.errors import DataError
from asr_ligru.text.targets import check_targets, check_vocab, ctc_feasible, min_ctc_frames


def test_ctc_feasible_equals_torch_in_1000_random_cases() -> None:
    draw = random.Random(5)
    feasible = 0
    for _ in range(1000):
        vocab_size = draw.randint(2, 5)
        ids = [draw.randint(1, vocab_size - 1) for _ in range(draw.randint(0, 12))]
        num_frames = draw.randint(1, 20)
        log_probs = torch.randn(num_frames, 1, vocab_size).log_softmax(-1)
        loss = torch.nn.functional.ctc_loss(
            log_probs, torch.tensor([ids], dtype=torch.long), torch.tensor([num_frames]), torch.tensor([len(ids)])
        )
        assert ctc_feasible(num_frames, ids) == (not torch.isinf(loss)), (num_frames, ids)
        feasible += ctc_feasible(num_frames, ids)
    assert 200 < feasible < 800


@pytest.mark.parametrize(("ids", "frames"), [([], 0), ([1], 1), ([1, 2, 1], 3), ([1, 1], 3), ([2, 2, 2, 1, 1], 8)])
def test_min_ctc_frames_repeats_need_a_blank_between(ids: list[int], frames: int) -> None:
    assert min_ctc_frames(ids) == frames


@pytest.mark.parametrize("wrong", [0, -1, 30, 31, 10**6])
def test_check_targets_wrong_id_names_utterance_and_token(wrong: int) -> None:
    with pytest.raises(DataError) as caught:
        check_targets("utt\x1b7", [1, 29, wrong, 2], 30)
    assert f"utt\\x1b7: target id {wrong} at position 2" in str(caught.value)
    assert caught.value.exit_code == 3


def test_check_targets_and_vocab_good_ones_pass() -> None:
    check_targets("u", [1, 29], 30)
    check_targets("u", [], 30)
    check_vocab(30, 30)
    with pytest.raises(DataError, match="tokenizer has 30 tokens with the blank, the model has 31"):
        check_vocab(30, 31)
