"""Kneser-Ney estimates against KenLM's lmplz, against hand-made numbers, and that probabilities sum to one.

``fixtures/commands_lmplz.arpa``: KenLM 0.3.0, ``lmplz -o 3 --text commands.txt --discount_fallback``. lmplz takes the
last n-gram of each order at its plain count into the statistics behind the discounts, which is the adjusted one here.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from asr_ligru.errors import ConfigError, DataError
from asr_ligru.text.arpa import read_arpa
from asr_ligru.text.kneser_ney import FALLBACK, estimate
from asr_ligru.text.ngram import BOS, EOS, UNK
from asr_ligru.text.sentences import read_sentences

FIXTURES = Path(__file__).parent / "fixtures"


def test_estimate_real_text_equals_lmplz() -> None:
    got = estimate(read_sentences(FIXTURES / "commands.txt"), 3)
    expected = read_arpa(FIXTURES / "commands_lmplz.arpa")
    assert got.fallback == (1,)
    assert [grams.keys() for grams in got.model.orders] == [grams.keys() for grams in expected.orders]
    for ours, theirs in zip(got.model.orders, expected.orders, strict=True):
        for gram in ours.keys() - {(BOS,)}:  # a probability of 1 or of 0, as one likes
            assert ours[gram] == pytest.approx(theirs[gram], abs=1e-6), gram


def test_estimate_one_word_counts_give_the_probabilities_of_the_book() -> None:
    made = estimate([list("abccdddeeee")], 1)
    # Counts: a, b and </s> once, c twice, d three, e four times; Y = 3 / (3 + 2 x 1).
    assert made.discounts[0] == pytest.approx((1 - 2 * 0.6 / 3, 2 - 3 * 0.6, 3 - 4 * 0.6))
    freed = (3 * 0.6 + 0.2 + 2 * 0.6) / 12
    expected = {"a": 0.4, "b": 0.4, EOS: 0.4, "c": 1.8, "d": 2.4, "e": 3.4, UNK: 0.0}
    for word, count in expected.items():
        assert 10 ** made.model.orders[0][word,][0] == pytest.approx(count / 12 + freed / 7)


def test_estimate_two_words_lower_order_counts_what_stands_before() -> None:
    made = estimate([["a", "b"], ["a", "b"], ["c", "b"]], 2)
    # Two pairs occur once, two twice, one three times: Y = 2 / (2 + 2 x 2).
    assert made.discounts == (FALLBACK, pytest.approx((1 / 3, 1.5, 3.0)))
    # Before b stand a and c; before a and c only <s>; before </s> only b: adjusted counts 2, 1, 1, 1.
    freed = (1.0 + 3 * 0.5) / 5
    one = {"b": 1.0 / 5 + freed / 5, "a": 0.5 / 5 + freed / 5, EOS: 0.5 / 5 + freed / 5}
    for word, prob in one.items():
        assert 10 ** made.model.orders[0][word,][0] == pytest.approx(prob)
    assert 10 ** made.model.orders[1]["a", "b"][0] == pytest.approx((2 - 1.5) / 2 + 0.75 * one["b"])
    assert 10 ** made.model.orders[0]["a",][1] == pytest.approx(0.75)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_estimate_after_any_context_probabilities_sum_to_one(order: int) -> None:
    draw = random.Random(order)
    sentences = [[draw.choice("abcdefg"[: draw.randint(1, 7)]) for _ in range(draw.randint(0, 7))] for _ in range(60)]
    model = estimate(sentences, order).model
    words = [*model.vocabulary, EOS, UNK]
    contexts = {gram for grams in model.orders for gram in grams if gram[-1] != EOS and UNK not in gram}
    assert order == 1 or len(contexts) > 40
    for context in [(), *contexts]:
        assert sum(10 ** model.log10_prob(w, context) for w in words) == pytest.approx(1.0, abs=1e-9), context


def test_estimate_order_of_lines_changes_nothing() -> None:
    sentences = list(read_sentences(FIXTURES / "commands.txt"))
    got, expected = (estimate(lines, 2).model.orders for lines in (sentences[::-1], sentences))
    assert all(
        got[n][gram] == pytest.approx(values, rel=1e-12) for n in range(2) for gram, values in expected[n].items()
    )


def test_estimate_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="no words"):
        estimate([], 3)
    with pytest.raises(DataError, match="a reserved word in the text: <s>"):
        estimate([["a", "<s>"]], 3)
    with pytest.raises(ConfigError, match="from 1 to 6 is possible, got 7"):
        estimate([["a"]], 7)
