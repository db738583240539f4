"""From files to a decoder: what is used, and what is refused before anything is decoded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.choose import Knowledge, make_decoder
from asr_ligru.decode.settings import SettingsFile, write_settings
from asr_ligru.errors import ConfigError
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.text.arpa import write_arpa
from asr_ligru.text.kneser_ney import estimate
from tests.tiny_corpus import say
from tests.tiny_model import write_model

pytest.importorskip("kenlm", reason="kenlm is not installed: pip install asr-ligru[lm]")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_model(tmp_path_factory.mktemp("beam") / "model"))


def arpa(folder: Path, text: str) -> Path:
    write_arpa(folder / "x.arpa", estimate([line.split() for line in text.splitlines()], 2).model)
    return folder / "x.arpa"


def test_make_beam_settings_bring_weights_and_language_model(model: LoadedModel, tmp_path: Path) -> None:
    write_settings(tmp_path / "d.json", SettingsFile(BeamSettings(lm_weight=9.0), arpa(tmp_path, "ab cd\ncd ab\n")))
    log_probs, lens = model.log_probs([model.feats(say(["ab", "cd"], 1))])
    (given,) = make_decoder(model, "beam", Knowledge(settings=tmp_path / "d.json"))(log_probs, lens)
    (named,) = make_decoder(model, "beam", Knowledge(lm=tmp_path / "x.arpa"))(log_probs, lens)
    (plain,) = make_decoder(model, "beam")(log_probs, lens)
    assert set(given.text.split()) <= {"ab", "cd"}
    assert len({given.score, named.score, plain.score}) == 3


def test_make_beam_language_model_in_another_spelling_is_refused(model: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can spell none of the language model's words, such as AB, CD"):
        make_decoder(model, "beam", Knowledge(lm=arpa(tmp_path, "AB CD")))


def test_make_beam_wrong_use_is_refused_with_what_to_do(model: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no 'Z'"):
        make_decoder(model, "beam", Knowledge(hot_words=("Zoo",)))
    with pytest.raises(ConfigError, match="uses no lexicon"):
        make_decoder(model, "beam", Knowledge(lexicon=tmp_path))
    with pytest.raises(ConfigError, match="greedy decoding uses no language model"):
        make_decoder(model, "greedy", Knowledge(hot_words=("ab",)))
    with pytest.raises(ConfigError, match="this one is a hybrid"):
        make_decoder(replace(model, hmm="an HMM"), "beam")  # type: ignore[arg-type]
