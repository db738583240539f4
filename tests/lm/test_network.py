"""Probabilities of sentences: a loop over steps in double precision is the reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asr_ligru.lm.model import padded
from asr_ligru.lm.network import BOUNDARY, LmNetwork
from tests.lm.tiny_lm import tiny_lm

CELLS = ("ligru", "libru", "gru", "lstm", "gru_bn", "lstm_bn", "sligru", "ubru")
SENTENCES = [torch.tensor(ids, dtype=torch.int64) for ids in ([2, 3, 2, 2, 3], [], [3], [2, 2, 2, 3, 1, 3, 3, 2, 2])]


def reference(network: LmNetwork, ids: Tensor) -> list[float]:
    """Return the log probability of each token and of the end, one step after the other."""
    found, state, token = [], None, torch.tensor([BOUNDARY])
    for following in [*ids.tolist(), BOUNDARY]:
        hidden, state = network.encoder.step(network.embedding(token), state)
        found.append(float(network.head(hidden).log_softmax(-1)[0, following]))
        token = torch.tensor([following])
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_network_batch_equals_steps_in_double_precision(cell: str) -> None:
    network = tiny_lm(cell, num_layers=2).network.double()
    with torch.no_grad():
        batch = network(*padded(SENTENCES))
        for row, ids in zip(batch, SENTENCES, strict=True):
            expected = torch.tensor(reference(network, ids), dtype=torch.float64)
            assert torch.allclose(row[: len(ids) + 1], expected, rtol=0, atol=1e-10)
            assert not row[len(ids) + 1 :].any()


@pytest.mark.parametrize("cell", CELLS)
def test_network_probability_does_not_depend_on_neighbours(cell: str) -> None:
    network = tiny_lm(cell).network
    with torch.no_grad():
        together = network(*padded(SENTENCES)).sum(1)
        alone = torch.cat([network(*padded([ids])).sum(1) for ids in SENTENCES])
        reversed_ = network(*padded(SENTENCES[::-1])).sum(1).flip(0)
    assert torch.allclose(together, alone, rtol=0, atol=1e-5)
    assert torch.allclose(together, reversed_, rtol=0, atol=1e-5)


def test_network_step_gives_the_probabilities_of_what_follows() -> None:
    network = tiny_lm().network
    with torch.no_grad():
        _, state = network.step(torch.tensor([BOUNDARY]))
        log_probs, _ = network.step(torch.tensor([3]), state)
        expected = [network(*padded([torch.tensor([3, token])]))[0, 1] for token in (1, 2, 3)]
    assert log_probs.exp().sum().item() == pytest.approx(1.0)
    assert log_probs[0, 1:].tolist() == pytest.approx([float(x) for x in expected], abs=1e-5)
