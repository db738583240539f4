"""Rescoring of readings: what is added, and language models that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_ligru.config import build
from asr_ligru.decode.rescore import LmRescorer, RescoreSettings, load_rescorer
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.lm.model import write_lm
from tests.lm.tiny_lm import tiny_lm


def test_rescorer_adds_weighted_log_probabilities_and_words() -> None:
    lm = tiny_lm()
    texts = ["ab a", "", "b", "ba aa ab"]
    expected = [0.7 * lm.log_probs([text])[0] - 1.5 * words for text, words in zip(texts, (2, 0, 1, 3), strict=True)]
    assert LmRescorer(lm, RescoreSettings(0.7, -1.5))(texts) == pytest.approx(expected, abs=1e-5)
    assert LmRescorer(lm, RescoreSettings(0.0, 0.0))(texts) == [0.0] * 4


def test_rescorer_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="rescore_weight: expected a value from 0"):
        build(RescoreSettings, {"rescore_weight": -1.0})


def test_rescorer_that_spells_none_of_the_vocabulary_is_refused(tmp_path: Path) -> None:
    write_lm(tmp_path / "lm", tiny_lm(), {})
    assert load_rescorer(tmp_path / "lm", ["A", "b", " "]).log_probs(["b"]) == tiny_lm().log_probs(["b"])
    with pytest.raises(ConfigError, match="can spell none of what is recognised, such as A, B"):
        load_rescorer(tmp_path / "lm", [" ", "A", "B"])


def test_rescorer_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a neural language model"):
        load_rescorer(tmp_path, ["a"])
