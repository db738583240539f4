"""Which decoder reads which model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_ligru.decode.choose import Knowledge, make_decoder
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.words import WordDecoder
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.lm.model import write_lm
from asr_ligru.models.load import LoadedModel, load_model
from tests.hmm.hybrid_case import tiny_hmm
from tests.lm.tiny_lm import tiny_lm
from tests.tiny_model import write_model


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return load_model(write_model(tmp_path / "model"))


def test_make_decoder_without_a_name_is_the_models_own(model: LoadedModel) -> None:
    assert isinstance(make_decoder(model), GreedyDecoder)
    assert isinstance(make_decoder(replace(model, hmm=tiny_hmm())), WordDecoder)


def test_make_decoder_that_cannot_read_the_model_is_refused(model: LoadedModel) -> None:
    with pytest.raises(ConfigError, match="hybrid"):
        make_decoder(model, "words")
    hybrid = replace(model, hmm=tiny_hmm())
    with pytest.raises(ConfigError, match="states"):
        make_decoder(hybrid, "greedy")
    with pytest.raises(ConfigError, match="lexicon"):
        make_decoder(hybrid, "words", Knowledge(lexicon=Path("lexicon.txt")))


def test_make_decoder_weights_named_one_by_one_are_checked(model: LoadedModel) -> None:
    hybrid = replace(model, hmm=tiny_hmm())
    with pytest.raises(ConfigError, match="acoustic_scale: expected a value from"):
        make_decoder(hybrid, "words", Knowledge(acoustic_scale=-1.0))
    with pytest.raises(ConfigError, match="uses no lexicon, acoustic scale"):
        make_decoder(model, "beam", Knowledge(word_score=1.0))


def test_make_decoder_rescoring_that_cannot_be_is_refused(model: LoadedModel, tmp_path: Path) -> None:
    write_lm(tmp_path / "lm", tiny_lm(), {})
    with pytest.raises(ConfigError, match="greedy decoding uses no language model"):
        make_decoder(model, "greedy", Knowledge(rescore=tmp_path / "lm"))
    with pytest.raises(ConfigError, match="rescores nothing"):
        make_decoder(replace(model, hmm=tiny_hmm()), "words", Knowledge(rescore=tmp_path / "lm"))
    with pytest.raises(ConfigError, match="rescore_weight: expected a value from"):
        make_decoder(model, "beam", Knowledge(rescore=tmp_path / "lm", rescore_weight=-1.0))
    with pytest.raises(ConfigError, match="without a model that scores"):
        make_decoder(model, "beam", Knowledge(rescore_bonus=1.0))
    with pytest.raises(DataError, match="an acoustic model"):
        make_decoder(model, knowledge=Knowledge(rescore=tmp_path / "model"))
