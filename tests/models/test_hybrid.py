"""The hybrid model: an output for every frame that no other utterance of the batch can change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import ctc_loss

from asr_ligru.config import ModelConfig
from asr_ligru.models.hybrid import HybridModel
from tests.nn.encoder_case import INPUT_SIZE, LENS, batch, config, perturb
from tests.tolerance import assert_close

NUM_STATES, NUM_PHONES, VOCAB_SIZE = 6, 3, 7


@pytest.fixture(autouse=True)
def _poisoned(poisoned_memory: None) -> None:
    pass


def model(stack: int, cell: str = "ligru", **keys: Any) -> HybridModel:
    """Return a model in evaluation mode with perturbed parameters and running statistics."""
    torch.manual_seed(0)
    around = ModelConfig(name="hybrid", stack_frames=stack, **keys)
    built = HybridModel(INPUT_SIZE, NUM_STATES, NUM_PHONES, VOCAB_SIZE, config(cell, num_layers=3), around)
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


@pytest.mark.parametrize("cell", ["ligru", "gru"])
@pytest.mark.parametrize("stack", [1, 5])
def test_all_heads_say_the_same_alone_and_padded(stack: int, cell: str) -> None:
    network, feats = model(stack, cell, ctc_weight=0.5, inter_ctc_layers=(2, 1)), batch()
    with torch.no_grad():
        together = network.all_heads(feats, LENS)
        padded = network.all_heads(nn.functional.pad(feats, (0, 0, 0, 7)), LENS)
        states, _ = network(feats, LENS)
        phones = network.both(feats, LENS)[1]
        steps = [-(-n // stack) for n in LENS.tolist()]
        assert together[4].tolist() == padded[4].tolist() == steps
        assert [x.shape[2] for x in (together[3], *together[5:])] == [VOCAB_SIZE] * 3
        for i, frames in enumerate(LENS.tolist()):
            alone = network.all_heads(feats[i : i + 1, :frames], LENS[i : i + 1])
            assert_close(together[0][i, :frames], states[i, :frames])
            assert_close(together[1][i, :frames], phones[i, :frames])
            for head, valid in ((0, frames), (1, frames), *((n, steps[i]) for n in (3, 5, 6))):
                assert_close(alone[head][0, :valid].exp().sum(-1), torch.ones(valid))
                assert_close(together[head][i, :valid], alone[head][0])
                assert_close(padded[head][i, :valid], alone[head][0])


def test_ctc_head_adds_its_own_parameters_and_leaves_the_others_as_they_were() -> None:
    torch.manual_seed(0)
    plain = HybridModel(INPUT_SIZE, 6, 3, 7, config("ligru"), ModelConfig(name="hybrid", phone_weight=0.5))
    torch.manual_seed(0)
    around = ModelConfig(name="hybrid", phone_weight=0.5, ctc_weight=0.3, inter_ctc_layers=(1,))
    joint = HybridModel(INPUT_SIZE, 6, 3, 7, config("ligru"), around)
    assert joint.state_dict().keys() - plain.state_dict().keys() == {"ctc_head.weight", "ctc_head.bias"}
    assert plain.ctc_head is None
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, joint.state_dict()[name]), name


@pytest.mark.parametrize("cell", ["ligru", "gru"])
@pytest.mark.parametrize("which", ["last layer", "layer 1", "states"])
def test_gradient_of_each_head_reaches_what_it_reads_and_nothing_else(which: str, cell: str) -> None:
    network = model(2, cell, ctc_weight=0.5, inter_ctc_layers=(1,)).train()
    states, _, _, tokens, lens, inner = network.all_heads(batch(), LENS)
    if which == "states":
        states[..., 0].sum().backward()  # type: ignore[no-untyped-call]
    else:
        said = (tokens if which == "last layer" else inner).transpose(0, 1)
        targets = torch.tensor([[1, 2], [3, 0], [4, 5], [1, 0]])
        ctc_loss(said, targets, lens, torch.tensor([2, 1, 2, 1])).backward()  # type: ignore[no-untyped-call]
    reached = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[0] for name in reached} == {"encoder", "head" if which == "states" else "ctc_head"}
    of_encoder = {name for name, _ in network.named_parameters() if name.startswith("encoder.")}
    lowest = {name for name in of_encoder if ".layers.0." in name or "_l0" in name}
    assert {name for name in reached if name in of_encoder} == (lowest if which == "layer 1" else of_encoder)
