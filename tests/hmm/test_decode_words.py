"""The word decoder on Kaldi's digits, and its language model."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from asr_ligru.hmm.decode_words import SearchOptions, Unigram, WordLoop
from asr_ligru.hmm.model import AcousticModel
from asr_ligru.hmm.topology import Topology
from asr_ligru.hmm.vocabulary import Vocabulary
from asr_ligru.text.lexicon import Lexicon

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def digits(kaldi_alignments: dict[str, Any]) -> Vocabulary:
    """Return the ten digits, their phones as Kaldi aligned them."""
    phones = {n: kaldi_alignments[f"utt/{n}_theo_7/phones_without_silence"].tolist() for n in range(10)}
    return Vocabulary(Lexicon({word: [tuple(map(str, phones[n]))] for n, word in enumerate(DIGITS)}))


def test_decode_isolated_and_joined_digits_are_recognised(
    kaldi_alignments: dict[str, Any], kaldi_model: AcousticModel, digits: Vocabulary
) -> None:
    assert digits.topology == Topology(kaldi_model.topology.phones)
    unigram = Unigram.of([" ".join(DIGITS)], DIGITS)
    loop = WordLoop(digits.entries, unigram, SearchOptions(0.1, -3.0))
    feats = [torch.from_numpy(kaldi_alignments[f"utt/{n}_theo_7/feats"]) for n in range(10)]
    found = loop.decode(kaldi_model, [*feats, torch.cat([feats[3], feats[3], feats[7]])])
    words = [() if spoken is None else spoken.words for spoken in found]
    assert words[:10] == [(word,) for word in DIGITS]
    assert words[10] == ("three", "three", "seven")
    assert found[10] is not None
    assert [span.label for span in found[10].alignment.word_spans()] == [0, 1, 2]


def test_decode_too_few_frames_gives_none(
    kaldi_alignments: dict[str, Any], kaldi_model: AcousticModel, digits: Vocabulary
) -> None:
    loop = WordLoop(digits.entries, Unigram.of([], DIGITS), SearchOptions())
    assert loop.decode(kaldi_model, [torch.from_numpy(kaldi_alignments["utt/7_theo_7/feats"])[:2]]) == [None]


def test_unigram_counts_words_once_more_and_sums_to_one() -> None:
    unigram = Unigram.of(["a b a", "a unknown"], ["a", "b", "c"])
    assert unigram.log_probs == pytest.approx({"a": math.log(4 / 9), "b": math.log(2 / 9), "c": math.log(1 / 9)})
    assert math.exp(unigram.end) == pytest.approx(2 / 9)
