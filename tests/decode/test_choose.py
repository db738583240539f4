"""Which decoder reads which model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_ligru.decode.beam.settings import BeamSettings
from asr_ligru.decode.choose import Knowledge, as_read_by, make_decoder
from asr_ligru.decode.greedy import GreedyDecoder
from asr_ligru.decode.settings import SettingsFile, write_settings
from asr_ligru.decode.wfst.decoder import SearchOptions
from asr_ligru.decode.words import WordDecoder
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.lm.model import write_lm
from asr_ligru.models.combined import combine
from asr_ligru.models.load import LoadedModel, load_model
from tests.hmm.hybrid_case import tiny_hmm
from tests.lm.tiny_lm import tiny_lm
from tests.tiny_corpus import say
from tests.tiny_model import JOINT, write_joint_model, write_model
from tests.tolerance import assert_close


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


def test_as_read_by_takes_the_ctc_head_for_decoders_of_tokens_alone(model: LoadedModel, tmp_path: Path) -> None:
    joint = load_model(write_joint_model(tmp_path / "joint"))
    tuned = {}
    for kind in (BeamSettings(), SearchOptions()):
        file = SettingsFile(kind)
        write_settings(tmp_path / f"{file.decoder}.json", file)
        tuned[file.decoder] = Knowledge(settings=tmp_path / f"{file.decoder}.json")
    for name, known in (("greedy", None), ("beam", None), (None, tuned["beam"])):
        read = as_read_by(joint, name, known)
        assert (read.hmm, read.temperature) == (None, 1.0)
        assert read.frame_s == model.frame_s == 2 * joint.frame_s
    for name, known in ((None, None), ("words", None), ("wfst", None), (None, tuned["wfst"])):
        assert as_read_by(joint, name, known) is joint
    assert as_read_by(model, "greedy") is model


def test_joint_model_read_greedily_says_what_its_ctc_model_says(model: LoadedModel, tmp_path: Path) -> None:
    joint = as_read_by(load_model(write_joint_model(tmp_path / "joint")), "greedy")
    feats = [model.feats(say(words, 1)) for words in (["ab", "gh"], ["cd"])]
    expected, got = (make_decoder(m, "greedy")(*m.log_probs(feats)) for m in (model, joint))
    assert [result.text for result in got] == [result.text for result in expected]
    assert any(result.text for result in got)
    assert isinstance(make_decoder(joint), GreedyDecoder)  # whatever the weights of its HMM's search


def test_joint_models_combined_average_either_head(model: LoadedModel, tmp_path: Path) -> None:
    joint = load_model(write_joint_model(tmp_path / "joint"))
    together, heads = combine([joint, joint]), combine([joint.by_tokens(), model])
    feats = [together.frontend(together.frontend.extract(say(["ab", "gh"], 1)))]
    assert together.log_probs(feats)[0].shape[2] == tiny_hmm().num_states
    expected = model.log_probs([model.feats(say(["ab", "gh"], 1))])[0]
    for tokens in (together.by_tokens(), heads):
        assert tokens.hmm is None
        assert_close(tokens.log_probs(feats)[0], expected)


def test_by_tokens_of_a_hybrid_without_ctc_head_is_refused(tmp_path: Path) -> None:
    plain = replace(JOINT, model=replace(JOINT.model, ctc_weight=0.0, inter_ctc_layers=()))
    hybrid = load_model(write_joint_model(tmp_path / "plain", plain))
    assert as_read_by(hybrid, "greedy") is hybrid  # which ``make_decoder`` then refuses
    with pytest.raises(ConfigError, match=r"gives states, no tokens\n  in: .*\n  fix: train with model.ctc_weight=0.3"):
        hybrid.by_tokens()
