"""The HMM of a hybrid system: priors, words and alignments from a network's probabilities."""

from __future__ import annotations

import math

import pytest
import torch

from asr_ligru.errors import DataError
from asr_ligru.hmm.decode_words import SearchOptions
from asr_ligru.hmm.hybrid import HybridHmm, log_priors
from tests.hmm.hybrid_case import path_of, sure_of, tiny_hmm


def test_log_priors_count_each_state_once_more_and_sum_to_one() -> None:
    priors = log_priors([torch.tensor([0, 0, 2]), torch.tensor([2, 2])], 4)
    assert torch.allclose(priors.exp(), torch.tensor([3.0, 1.0, 4.0, 1.0], dtype=torch.float64) / 9)
    assert float(priors.exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_log_likes_are_probabilities_over_priors() -> None:
    states = tiny_hmm().with_priors([torch.tensor([1, 1, 5])]).states
    log_probs = torch.randn(4, 12).log_softmax(1)
    got = states.log_likes(log_probs, torch.tensor([5, 1]))
    expected = (log_probs.double().exp()[:, [5, 1]] / torch.tensor([2 / 15, 3 / 15], dtype=torch.float64)).log()
    assert torch.allclose(got, expected)


def test_phone_of_state_names_the_phone_of_each() -> None:
    assert tiny_hmm().phone_of_state.tolist() == [phone for phone in range(4) for _ in range(3)]


@pytest.mark.parametrize(
    ("phones", "words"),
    [("SIL G O SIL", "go"), ("SIL N O G O", "no go"), ("N SIL G O", "no go"), ("SIL", "")],
)
def test_loop_finds_the_words_whose_states_the_network_is_sure_of(phones: str, words: str) -> None:
    hmm = tiny_hmm()
    (found,) = hmm.loop(SearchOptions(1.0)).decode(hmm.states, [sure_of(path_of(phones, hmm))])
    assert found is not None
    assert " ".join(found.words) == words


def test_align_gives_the_states_the_network_is_sure_of() -> None:
    hmm = tiny_hmm()
    path = path_of("SIL N O SIL G O", hmm)
    (found,) = hmm.align([hmm.vocabulary.transcript("no go")], [sure_of(path)])
    assert found is not None
    assert found.pdfs(hmm.states.tree).tolist() == path


def test_align_is_at_least_as_likely_as_any_other_alignment() -> None:
    hmm = tiny_hmm()
    transcript = hmm.vocabulary.transcript("go")
    log_probs = torch.randn(12, 12, generator=torch.Generator().manual_seed(0)).log_softmax(1)
    (by_network,) = hmm.align([transcript], [log_probs])
    assert by_network is not None
    for phones in ("SIL G O SIL", "G O", "SIL G O", "G O SIL"):
        frames = 12 // (3 * len(phones.split()))
        path = path_of(phones, hmm, frames)
        (other,) = hmm.align([transcript], [sure_of(path, sharpness=100.0)])
        assert other is not None
        assert other.pdfs(hmm.states.tree).tolist() == path
        assert by_network.score >= score(hmm, path, log_probs, phones) - 1e-9


def score(hmm: HybridHmm, path: list[int], log_probs: torch.Tensor, phones: str) -> float:
    """Return the score of a path as Viterbi counts it: acoustics and transitions to the 0.1, edges of log 0.5."""
    likes = hmm.states.log_likes(log_probs, torch.arange(12))
    total = 0.1 * sum(float(likes[t, s]) for t, s in enumerate(path))
    stay = hmm.states.transitions.stay
    for s, after in zip(path, [*path[1:], -1], strict=True):
        total += 0.1 * math.log(float(stay[s]) if s == after else 1 - float(stay[s]))
    return total + 2 * math.log(0.5)  # silence or none, at either end


def test_load_gives_an_equal_hmm() -> None:
    hmm = tiny_hmm().with_priors([torch.tensor([1, 1, 5])])
    found = HybridHmm.load(hmm.tensors())
    assert found.vocabulary.entries == hmm.vocabulary.entries
    assert found.unigram == hmm.unigram
    assert all(torch.equal(a, b) for a, b in zip(found.tensors().values(), hmm.tensors().values(), strict=True))


@pytest.mark.parametrize("broken", ["tree", "stay", "log_priors", "words_json"])
def test_load_altered_parts_are_refused(broken: str) -> None:
    tensors = tiny_hmm().tensors()
    tensors[broken] = tensors[broken][1:]
    with pytest.raises(DataError, match="hybrid model"):
        HybridHmm.load(tensors)
    del tensors[broken]
    with pytest.raises(DataError, match="cannot be read"):
        HybridHmm.load(tensors)
