"""The HMM of a hybrid system: priors, words and alignments from a network's probabilities."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.hmm.decode_words import SearchOptions, Unigram
from asr_ligru.hmm.hybrid import HybridHmm, log_priors
from asr_ligru.text.ngram import NgramModel
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


def test_read_gives_an_equal_hmm(tmp_path: Path) -> None:
    hmm = tiny_hmm().with_priors([torch.tensor([1, 1, 5])])
    found = read(tmp_path, hmm.files())
    assert found.vocabulary.entries == hmm.vocabulary.entries
    assert found.vocabulary.topology == hmm.vocabulary.topology
    assert found.lm.orders[0].keys() == hmm.lm.orders[0].keys()
    for name, value in hmm.lm.orders[0].items():
        assert found.lm.orders[0][name] == pytest.approx(value, abs=1e-6)
    assert found.files()["hmm.safetensors"] == hmm.files()["hmm.safetensors"]


def read(folder: Path, files: dict[str, bytes]) -> HybridHmm:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    found = HybridHmm.read(folder)
    assert found is not None
    return found


def test_read_folder_without_an_hmm_is_none(tmp_path: Path) -> None:
    assert HybridHmm.read(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("hmm.safetensors", {"tree": torch.zeros(1, dtype=torch.int32)}, "no edge_silence"),
        ("hmm.safetensors", {"log_priors": torch.zeros(3, dtype=torch.float64)}, "other numbers of states"),
        ("lexicon.txt", b"go G O\n", "other phones"),
        ("lexicon.txt", b"go\n", "no phones"),
        ("lm.arpa", b"\\data\\\n", "language model"),
    ],
)
def test_read_parts_that_do_not_fit_are_refused(name: str, content: Any, message: str, tmp_path: Path) -> None:
    files = tiny_hmm().files()
    if name == "hmm.safetensors":
        whole = load(files[name])
        files[name] = save(content if message.startswith("no ") else whole | content)
    else:
        files[name] = content
    with pytest.raises(DataError, match=message):
        read(tmp_path, files)


def test_with_lm_takes_single_words_and_refuses_others() -> None:
    hmm = tiny_hmm()
    path = sure_of(path_of("N O", hmm), sharpness=1.0)
    only_go = Unigram({"go": math.log(0.5)}, math.log(0.5)).model()
    (found,) = hmm.with_lm(only_go).loop(SearchOptions(1.0)).decode(hmm.states, [path])
    assert found is not None
    assert found.words == ("go",)
    with pytest.raises(DataError, match="no word of the lexicon"):
        hmm.with_lm(Unigram({"stop": math.log(0.5)}, math.log(0.5)).model())
    with pytest.raises(ConfigError, match="2-grams"):
        hmm.with_lm(NgramModel((*only_go.orders, {("go", "go"): (-1.0, 0.0)})))
