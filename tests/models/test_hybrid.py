"""The hybrid model: an output for every frame that no other utterance of the batch can change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asr_ligru.config import ModelConfig
from asr_ligru.models.hybrid import HybridModel
from tests.nn.encoder_case import INPUT_SIZE, LENS, batch, config, perturb
from tests.tolerance import assert_close

NUM_STATES, NUM_PHONES = 6, 3


@pytest.fixture(autouse=True)
def _poisoned(poisoned_memory: None) -> None:
    pass


def model(stack: int) -> HybridModel:
    """Return a model in evaluation mode with perturbed parameters and running statistics."""
    torch.manual_seed(0)
    built = HybridModel(
        INPUT_SIZE, NUM_STATES, NUM_PHONES, config("ligru", num_layers=2), ModelConfig(stack_frames=stack)
    )
    perturb(built)
    return built.eval()


@pytest.mark.parametrize("stack", [1, 2, 5])
def test_every_frame_has_normalised_states_and_phones(stack: int) -> None:
    network = model(stack)
    with torch.no_grad():
        log_probs, lens = network(batch(), LENS)
        states, phones = network.both(batch(), LENS)
    assert log_probs.shape == (4, 12, NUM_STATES)
    assert phones.shape == (4, 12, NUM_PHONES)
    assert torch.equal(lens, LENS)
    assert torch.equal(states, log_probs)
    assert_close(log_probs.exp().sum(-1), torch.ones(4, 12))
    assert_close(phones.exp().sum(-1), torch.ones(4, 12))


@pytest.mark.parametrize("stack", [1, 5])
def test_alone_equals_padded_equals_shuffled(stack: int) -> None:
    network, feats, order = model(stack), batch(), torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        together, _ = network(feats, LENS)
        padded, _ = network(nn.functional.pad(feats, (0, 0, 0, 7)), LENS)
        shuffled, _ = network(feats[order], LENS[order])
        for i, frames in enumerate(LENS.tolist()):
            alone, _ = network(feats[i : i + 1, :frames], LENS[i : i + 1])
            place = order.tolist().index(i)
            for other in (together[i], padded[i], shuffled[place]):
                assert_close(other[:frames], alone[0])


def test_stacked_frames_have_outputs_of_their_own() -> None:
    network = model(3)
    with torch.no_grad():
        log_probs, _ = network(batch(), LENS)
    assert not torch.equal(log_probs[:, 0], log_probs[:, 1])
