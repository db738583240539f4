"""Beam search against all paths, one by one, and what must not change its result."""

from __future__ import annotations

import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_ligru.config import TokensConfig
from asr_ligru.decode.beam.scorer import Ngram
from asr_ligru.decode.beam.search import BeamDecoder
from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.result import Rescorer
from asr_ligru.errors import ConfigError, EnvironmentError_
from asr_ligru.text.kneser_ney import estimate
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.ngram import NgramModel
from asr_ligru.text.sentences import spell, speller
from asr_ligru.text.tokenizer import Tokenizer, build_tokenizer

pytest.importorskip("kenlm", reason="kenlm is not installed: pip install asr-ligru[lm]")

TEXTS = ["a b", "ab a", "ba ab b", "b", "a ab"]
WIDE = BeamSettings(lm_weight=0.7, word_bonus=0.4, unknown_penalty=3.0, beam_size=5000, beam_threshold=1e3)
WIDE = replace(WIDE, token_threshold=1e3)
TOKENIZERS = {
    "char": build_tokenizer(TokensConfig(name="char"), TEXTS),
    "bpe": build_tokenizer(TokensConfig(name="bpe", vocab_size=6, unknown="unk"), TEXTS),
    "word": build_tokenizer(TokensConfig(name="word"), ["ab b"]),
}


def language_model(units: str, tokenizer: Tokenizer) -> NgramModel:
    spelled = speller(units, tokenizer)
    return estimate([spell(text.split(" "), spelled) for text in TEXTS], 2, units).model


def collapse(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(path) if token]


def best_by_hand(
    log_probs: Tensor,
    tokenizer: Tokenizer,
    model: NgramModel,
    weights: BeamSettings,
    added: Rescorer = lambda texts: [0.0 for _ in texts],
) -> tuple[str, float]:
    """Return the best text and its score, from every path there is."""
    spelled = speller(model.units, tokenizer)
    paths: defaultdict[str, list[float]] = defaultdict(list)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = tokenizer.decode(collapse(path))
        if "<unk>" not in text:
            paths[text].append(sum(float(log_probs[t, token]) for t, token in enumerate(path)))

    def total(text: str) -> float:
        words = [word for word in text.split(" ") if word]
        lm = sum(model.log10_probs(spell(words, spelled))) * math.log(10)
        unknown = sum(any(unit not in model for unit in spelled(word)) for word in words)
        own = weights.word_bonus * len(words) - weights.unknown_penalty * unknown
        return float(np.logaddexp.reduce(paths[text])) + weights.lm_weight * lm + own + added([text])[0]

    best = max(paths, key=total)
    return best, total(best)


@pytest.mark.parametrize(("kind", "units"), [("char", "word"), ("char", "char"), ("bpe", "word"), ("bpe", "bpe")])
def test_search_wide_beam_equals_the_best_of_all_paths(kind: str, units: str) -> None:
    tokenizer = TOKENIZERS[kind]
    model = language_model(units, tokenizer)
    decoder = BeamDecoder(tokenizer, WIDE, Ngram(model, speller(units, tokenizer)))
    draw = torch.Generator().manual_seed(1)
    for frames in (1, 2, 4, 5, 5, 5):
        log_probs = (2 * torch.randn(frames, tokenizer.vocab_size, generator=draw)).log_softmax(-1)
        (got,) = decoder(log_probs[None], torch.tensor([frames]))
        text, score = best_by_hand(log_probs, tokenizer, model, WIDE)
        assert got.text == text
        assert got.score == pytest.approx(score, abs=1e-4)  # KenLM has float32


def test_search_rescored_equals_the_best_of_all_paths_with_what_was_added() -> None:
    tokenizer, model = TOKENIZERS["char"], language_model("word", TOKENIZERS["char"])

    def added(texts: Sequence[str]) -> list[float]:
        return [3.0 * text.count("b") - 2.0 * text.count("a") for text in texts]

    ngram = Ngram(model, speller("word"))
    decoder, plain = BeamDecoder(tokenizer, WIDE, ngram, rescorer=added), BeamDecoder(tokenizer, WIDE, ngram)
    draw = torch.Generator().manual_seed(1)
    changed = 0
    for frames in (1, 2, 4, 5, 5, 5):
        log_probs = (2 * torch.randn(frames, tokenizer.vocab_size, generator=draw)).log_softmax(-1)
        (got,) = decoder(log_probs[None], torch.tensor([frames]), 3)
        text, score = best_by_hand(log_probs, tokenizer, model, WIDE, added)
        assert got.text == text == " ".join(word.text for word in got.words)
        assert got.score == pytest.approx(score, abs=1e-4)
        assert [c.score for c in got.n_best] == sorted((c.score for c in got.n_best), reverse=True)
        assert got.n_best[0] == (got.text, got.score)
        changed += plain(log_probs[None], torch.tensor([frames]))[0].text != text
    assert changed > 2


def test_search_words_as_tokens_are_scored_one_by_one() -> None:
    tokenizer, model = TOKENIZERS["word"], language_model("word", TOKENIZERS["word"])
    decoder = BeamDecoder(tokenizer, WIDE, Ngram(model, speller("word")))
    log_probs = (2 * torch.randn(6, 3, generator=torch.Generator().manual_seed(3))).log_softmax(-1)
    (got,) = decoder(log_probs[None], torch.tensor([6]))
    assert (got.text, got.score) == pytest.approx(best_by_hand(log_probs, tokenizer, model, WIDE), abs=1e-4)


def random_batch(tokenizer: Tokenizer, lens: list[int], scale: float = 3.0) -> tuple[Tensor, Tensor]:
    """Return log probabilities (B, T', V) with long stretches of blanks, as trained models have them."""
    draw = torch.Generator().manual_seed(sum(lens))
    logits = scale * torch.randn(len(lens), max(lens), tokenizer.vocab_size, generator=draw)
    quiet = torch.rand(len(lens), max(lens), generator=draw) < 0.6
    logits[quiet] = torch.eye(tokenizer.vocab_size)[0] * 9.0
    return logits.log_softmax(-1), torch.tensor(lens)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_search_batch_equals_each_alone_whatever_stands_behind(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    decoder = BeamDecoder(tokenizer, BeamSettings(), Ngram(language_model("word", tokenizer), speller("word")))
    log_probs, lens = random_batch(tokenizer, [7, 30, 13, 29, 1])
    together = decoder(log_probs, lens, 3)
    for row, length, result in zip(log_probs, lens.tolist(), together, strict=True):
        assert decoder(row[None, :length], torch.tensor([length]), 3) == [result]
        row[length:] = torch.nan
    assert decoder(log_probs, lens, 3) == together


def test_search_without_frames_of_blanks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = TOKENIZERS["char"]
    decoder = BeamDecoder(tokenizer, BeamSettings(), Ngram(language_model("word", tokenizer), speller("word")))
    log_probs, lens = random_batch(tokenizer, [40, 33])
    assert decoder._search._frames_that_matter(log_probs[0].numpy()).sum() < 30
    fast = decoder(log_probs, lens, 4)
    monkeypatch.setattr(decoder._search, "_frames_that_matter", lambda rows: np.ones(len(rows), dtype=bool))
    for got, expected in zip(fast, decoder(log_probs, lens, 4), strict=True):
        assert [text for text, _ in got.n_best] == [text for text, _ in expected.n_best]
        assert [s for _, s in got.n_best] == pytest.approx([s for _, s in expected.n_best], abs=1e-4)
        assert got.words == expected.words or [w.confidence for w in got.words] == pytest.approx(
            [w.confidence for w in expected.words], abs=1e-4
        )


def test_search_n_best_is_sorted_different_and_begins_alike() -> None:
    tokenizer = TOKENIZERS["char"]
    decoder = BeamDecoder(tokenizer, BeamSettings(), Ngram(language_model("word", tokenizer), speller("word")))
    log_probs, lens = random_batch(tokenizer, [20, 25], scale=1.0)
    for many, one in zip(decoder(log_probs, lens, 10), decoder(log_probs, lens), strict=True):
        texts, scores = zip(*many.n_best, strict=True)
        assert len(set(texts)) == len(texts) == 10
        assert list(scores) == sorted(scores, reverse=True)
        assert one.n_best == many.n_best[:1] == ((many.text, many.score),)


def clear(tokenizer: Tokenizer, tokens: str) -> Tensor:
    """Return log probabilities (1, T', V) that say one token a frame, - for the blank, all but surely."""
    logits = torch.zeros(1, len(tokens), tokenizer.vocab_size)
    for frame, token in enumerate(tokens):
        logits[0, frame, 0 if token == "-" else tokenizer.tokens.index(token)] = 6.0
    return logits.log_softmax(-1)


def test_search_clear_speech_has_times_and_words_as_greedily() -> None:
    tokenizer = TOKENIZERS["char"]
    log_probs = clear(tokenizer, "--aa-b- -b---b--ba")
    lens = torch.tensor([log_probs.shape[1]])
    (got,), (greedy,) = (
        BeamDecoder(tokenizer, BeamSettings())(log_probs, lens),
        GreedyDecoder(tokenizer)(log_probs, lens),
    )
    assert got.text == greedy.text == "ab bbba"
    assert [(w.text, w.start, w.end) for w in got.words] == [(w.text, w.start, w.end) for w in greedy.words]
    assert all(0.9 < word.confidence <= 1 for word in got.words)


def test_search_unsure_word_is_less_confident_than_its_neighbour() -> None:
    tokenizer = TOKENIZERS["char"]
    log_probs = clear(tokenizer, "a-- --b")
    log_probs[0, -1] = torch.tensor([0.05, 0.1, 0.4, 0.45])[[0, 1, 2, 3]].log()
    (got,) = BeamDecoder(tokenizer, BeamSettings(word_bonus=0.0))(log_probs, torch.tensor([7]))
    assert got.text == "a b"
    assert got.words[0].confidence > 0.99
    assert got.words[1].confidence == pytest.approx(0.45, abs=0.02)


def test_search_hot_word_is_preferred_also_where_the_model_has_it_not() -> None:
    tokenizer = TOKENIZERS["char"]
    log_probs = clear(tokenizer, "b-a-")
    log_probs[0, 0] = torch.tensor([1e-3, 1e-3, 0.4, 0.598]).log()
    ngram = Ngram(language_model("word", tokenizer), speller("word"))
    for hot, expected in ((), "ba"), (("aa",), "aa"):
        (got,) = BeamDecoder(tokenizer, BeamSettings(), ngram, hot)(log_probs, torch.tensor([4]))
        assert got.text == expected


def test_search_nothing_said_gives_an_empty_result() -> None:
    tokenizer = TOKENIZERS["char"]
    ngram = Ngram(language_model("word", tokenizer), speller("word"))
    (got,) = BeamDecoder(tokenizer, BeamSettings(), ngram)(clear(tokenizer, "------"), torch.tensor([6]))
    assert (got.text, got.words) == ("", ())


def test_search_phones_are_refused_with_what_to_do() -> None:
    phones = build_tokenizer(TokensConfig(name="phone"), ["a"], Lexicon({"a": [("AH",)]}))
    with pytest.raises(ConfigError, match="this model has phones"):
        BeamDecoder(phones, BeamSettings())


def test_ngram_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(EnvironmentError_, match=r'needs kenlm\n  fix: pip install "asr-ligru\[lm\]"') as caught:
        Ngram(language_model("word", TOKENIZERS["char"]), speller("word"))
    assert caught.value.exit_code == 4
