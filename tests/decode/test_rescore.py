"""Rescoring of readings: what is added, and language models that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_ligru.config import TokensConfig, build
from asr_ligru.decode.rescore import LmRescorer, RescoreGrid, RescoreSettings, load_rescorer
from asr_ligru.errors import ConfigError
from asr_ligru.lm.model import write_lm
from asr_ligru.models.load import load_model
from asr_ligru.text.tokenizer import build_tokenizer
from tests.lm.tiny_lm import tiny_lm
from tests.tiny_model import write_model


def test_rescorer_adds_weighted_log_probabilities_and_words() -> None:
    lm = tiny_lm()
    texts = ["ab a", "", "b", "ba aa ab"]
    expected = [0.7 * lm.log_probs([text])[0] - 1.5 * words for text, words in zip(texts, (2, 0, 1, 3), strict=True)]
    assert LmRescorer(lm, RescoreSettings(0.7, -1.5))(texts) == pytest.approx(expected, abs=1e-5)
    assert LmRescorer(lm, RescoreSettings(0.0, 0.0))(texts) == [0.0] * 4


def test_rescorer_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="rescore_weight: expected a value from 0"):
        build(RescoreSettings, {"rescore_weight": -1.0})


def test_rescorer_that_spells_nothing_the_model_does_is_refused(tmp_path: Path) -> None:
    write_lm(tmp_path / "lm", tiny_lm(), {})
    model = load_model(write_model(tmp_path / "model"))
    assert load_rescorer(tmp_path / "lm", model).log_probs(["b"]) == tiny_lm().log_probs(["b"])
    upper = replace(model, tokenizer=build_tokenizer(TokensConfig(), ["A B"]))
    with pytest.raises(ConfigError, match="can spell none of what is recognised, such as A, B"):
        load_rescorer(tmp_path / "lm", upper)


def test_rescore_grid_has_each_combination() -> None:
    grid = RescoreGrid((Path("a"), Path("b")), (0.0, 1.0), (0.5,))
    assert [(c.lm.name, c.settings) for c in grid.choices()] == [
        ("a", RescoreSettings(0.0, 0.5)),
        ("a", RescoreSettings(1.0, 0.5)),
        ("b", RescoreSettings(0.0, 0.5)),
        ("b", RescoreSettings(1.0, 0.5)),
    ]
