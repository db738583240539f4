"""What a back-off model says: by hand, and perplexity."""

from __future__ import annotations

import math

import pytest

from asr_ligru.text.ngram import NgramModel, perplexity

MODEL = NgramModel(
    (
        {("<unk>",): (-1.0, 0.0), ("<s>",): (-99.0, -0.25), ("</s>",): (-0.5, 0.0), ("a",): (-0.75, -0.5)},
        {("<s>", "a"): (-0.125, -0.0625), ("a", "a"): (-0.375, 0.0)},
        {("<s>", "a", "a"): (-0.03125, 0.0)},
    )
)


def test_log10_prob_backs_off_by_the_weights_of_its_contexts() -> None:
    assert MODEL.log10_prob("a", ["<s>"]) == -0.125
    assert MODEL.log10_prob("a", ["x", "y", "<s>", "a"]) == -0.03125
    assert MODEL.log10_prob("</s>", ["<s>", "a"]) == -0.0625 - 0.5 - 0.5
    assert MODEL.log10_prob("b", ["<s>", "a"]) == -0.0625 - 0.5 - 1.0
    assert MODEL.log10_prob("a", ["b"]) == -0.75
    assert MODEL.log10_prob("a", []) == -0.75


def test_log10_prob_only_single_words_has_no_context() -> None:
    model = NgramModel(MODEL.orders[:1])
    assert model.log10_probs(["a", "a"]) == [-0.75, -0.75, -0.5]


def test_perplexity_with_and_without_unknown_words_is_counted() -> None:
    found = perplexity(MODEL, [["a", "b"], ["a"]])
    a, b, end = -0.125, -0.0625 - 0.5 - 1.0, -0.5
    total = (a + b + end) + (a - 0.0625 - 0.5 + end)
    assert (found.sentences, found.words, found.unknown) == (2, 3, 1)
    assert found.unknown_rate == pytest.approx(1 / 3)
    assert math.log10(found.including_unknown) == pytest.approx(-total / 5)
    assert math.log10(found.excluding_unknown) == pytest.approx(-(total - b) / 4)
