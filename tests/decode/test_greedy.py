"""Greedy decoding by hand-made probabilities and against torchaudio-free brute force."""

from __future__ import annotations

import itertools

import pytest
import torch

from asr_ligru.config import TokensConfig
from asr_ligru.decode.greedy import GreedyDecoder, best_paths
from asr_ligru.text.tokenizer import build_tokenizer


def one_hot(ids: list[int], vocab: int = 4) -> torch.Tensor:
    return torch.log_softmax(9.0 * torch.nn.functional.one_hot(torch.tensor(ids), vocab).float(), -1)


@pytest.mark.parametrize(
    ("frames", "tokens"),
    [
        ([0, 0, 0], []),
        ([1, 1, 0, 1], [1, 1]),
        ([1, 2, 2, 3], [1, 2, 3]),
        ([0, 3, 3, 0, 0, 3, 2], [3, 3, 2]),
    ],
)
def test_best_paths_merges_repeats_and_drops_blanks(frames: list[int], tokens: list[int]) -> None:
    assert best_paths(one_hot(frames)[None], torch.tensor([len(frames)]))[0].tokens == tokens


def test_best_paths_ignores_what_stands_behind_the_end() -> None:
    batch = torch.stack([one_hot([1, 2, 3]), one_hot([3, 1, 1])])
    paths = best_paths(batch, torch.tensor([3, 1]))
    assert [p.tokens for p in paths] == [[1, 2, 3], [3]]
    assert paths[1].score == pytest.approx(float(one_hot([3])[0, 3]))


def test_best_paths_score_is_the_best_of_all_paths() -> None:
    log_probs = torch.log_softmax(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), -1)
    best = max(
        sum(float(log_probs[t, k]) for t, k in enumerate(path)) for path in itertools.product(range(3), repeat=4)
    )
    assert best_paths(log_probs[None], torch.tensor([4]))[0].score == pytest.approx(best, rel=1e-5)


def test_best_paths_confidence_is_the_highest_probability_of_a_tokens_frames() -> None:
    probabilities = torch.tensor([[0.1, 0.6, 0.3], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0], [0.2, 0.1, 0.7]])
    (path,) = best_paths(probabilities.log()[None], torch.tensor([4]))
    assert path.tokens == [1, 2]
    assert path.confidences == pytest.approx([0.8, 0.7])


def test_best_paths_temperature_divides_the_logits_of_confidences_alone() -> None:
    logits = 3.0 * torch.randn(1, 9, 5, generator=torch.Generator().manual_seed(1))
    (plain,) = best_paths(logits.log_softmax(-1), torch.tensor([9]))
    (cooled,) = best_paths(logits.log_softmax(-1), torch.tensor([9]), temperature=2.5)
    probabilities = (logits[0] / 2.5).softmax(-1)
    expected = [float(probabilities[s:e, k].max()) for k, (s, e) in zip(plain.tokens, plain.spans, strict=True)]
    assert cooled.confidences == pytest.approx(expected)
    assert (cooled.tokens, cooled.score, cooled.spans) == (plain.tokens, plain.score, plain.spans)


def test_greedy_decoder_words_last_from_their_first_to_their_last_token() -> None:
    tokenizer = build_tokenizer(TokensConfig(), ["ab ba"], None)
    a, space, b = tokenizer.encode("a b")
    frames = [0, a, a, 0, b, b, b, 0, space, 0, 0, b, 0, a, 0, 0]
    log_probs = torch.stack([one_hot(frames), one_hot([a] * len(frames))])
    spoken, other = GreedyDecoder(tokenizer)(log_probs, torch.tensor([16, 3]))
    assert [(w.text, w.start, w.end) for w in spoken.words] == [("ab", 1, 7), ("ba", 11, 14)]
    assert [(w.text, w.start, w.end) for w in other.words] == [("a", 0, 3)]
    assert (spoken.text, spoken.n_best) == ("ab ba", (("ab ba", spoken.score),))
    sure = float(one_hot([1])[0, 1].exp())
    assert [w.confidence for w in spoken.words] == pytest.approx([sure] * 2)


def test_greedy_decoder_silence_is_no_words() -> None:
    tokenizer = build_tokenizer(TokensConfig(), ["ab ba"], None)
    (found,) = GreedyDecoder(tokenizer)(one_hot([0, 0])[None], torch.tensor([2]))
    assert (found.text, found.words) == ("", ())


def test_greedy_decoder_n_best_are_different_texts_from_the_best_on() -> None:
    tokenizer = build_tokenizer(TokensConfig(), ["ab ba"], None)
    log_probs = torch.randn(2, 12, tokenizer.vocab_size, generator=torch.Generator().manual_seed(3)).log_softmax(-1)
    lens = torch.tensor([12, 5])
    plain, several = GreedyDecoder(tokenizer)(log_probs, lens), GreedyDecoder(tokenizer)(log_probs, lens, n_best=5)
    for one, more in zip(plain, several, strict=True):
        assert (more.text, more.score, more.words) == (one.text, one.score, one.words)
        assert more.n_best[0] == one.n_best[0]
        assert len({text for text, _ in more.n_best}) == len(more.n_best) == 5
        scores = [score for _, score in more.n_best]
        assert scores == sorted(scores, reverse=True)
