"""Perplexities against numbers worked out by hand; folders, and what is no folder of a model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from asr_ligru.errors import DataError
from asr_ligru.lm.model import NeuralLm, read_lm, write_lm
from tests.lm.tiny_lm import tiny_lm
from tests.tiny_model import write_model


@pytest.fixture
def fixed() -> NeuralLm:
    """Return a model that gives, whatever came before: the end 1/2, <unk> 1/16, a 3/8, b 1/16."""
    lm = tiny_lm()
    with torch.no_grad():
        lm.network.head.weight.zero_()
        lm.network.head.bias.copy_(torch.tensor([8.0, 1.0, 6.0, 1.0]).div(16).log())
    return lm


def test_perplexity_of_fixed_probabilities_is_the_one_worked_out(fixed: NeuralLm) -> None:
    found = fixed.perplexity(["ab", "a"])
    # a 3/8, b 1/16, end 1/2; a 3/8, end 1/2: 9/4096 in all, over 2 words or 3 characters and 2 ends
    assert found.log_prob == pytest.approx(math.log(9 / 4096), rel=1e-6)
    assert found.per_word == pytest.approx((4096 / 9) ** (1 / 4), rel=1e-6)
    assert found.per_character == pytest.approx((4096 / 9) ** (1 / 5), rel=1e-6)
    assert (found.sentences, found.words, found.characters) == (2, 2, 3)


def test_perplexity_unknown_characters_are_counted_and_predicted_as_unk(fixed: NeuralLm) -> None:
    found = fixed.perplexity(["aéa", "é!"])
    assert found.unknown == {"é": 2, "!": 1}
    assert found.log_prob == pytest.approx(math.log((3 / 8) ** 2 / 16**3 / 4), rel=1e-6)


def test_perplexity_without_words_is_refused(fixed: NeuralLm) -> None:
    with pytest.raises(DataError, match="no words in the text"):
        fixed.perplexity(["", " "])


def test_log_probs_of_many_texts_are_those_of_each_alone() -> None:
    lm = tiny_lm()
    texts = ["ab", "", "bbbabab", "a", "ab"]
    alone = [lm.log_probs([text])[0] for text in texts]
    assert lm.log_probs(texts) == pytest.approx(alone, abs=1e-5)
    assert lm.log_probs([]) == []


def test_lm_folder_gives_back_the_model(tmp_path: Path) -> None:
    lm = tiny_lm("lstm", num_layers=2)
    write_lm(tmp_path / "run" / "lm", lm, {"epoch": 3})
    for path in (tmp_path / "run", tmp_path / "run" / "lm"):
        found, facts = read_lm(path)
        assert facts == {"epoch": 3}
        assert found.config == lm.config
        assert found.log_probs(["abba"]) == lm.log_probs(["abba"])


def test_lm_folder_that_was_altered_is_refused(tmp_path: Path) -> None:
    write_lm(tmp_path / "lm", tiny_lm(), {})
    (tmp_path / "lm" / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"tokenizer\.json: altered"):
        read_lm(tmp_path / "lm")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "it does not exist"),
        ("x.arpa", "an n-gram model in ARPA format, which goes to --lm"),
        ("acoustic", "an acoustic model"),
        ("begun", "a training that has not finished"),
        ("empty", "no lm.json in it"),
    ],
)
def test_lm_folder_of_another_kind_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "x.arpa").write_text("\\data\\\n", encoding="utf-8")
    write_model(tmp_path / "acoustic" / "model")
    (tmp_path / "begun" / "checkpoints").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message) as caught:
        read_lm(tmp_path / name)
    assert str(tmp_path / name) in caught.value.where
    assert caught.value.fix
