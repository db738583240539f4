from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr_ligru.config import DecodeConfig
from asr_ligru.decode.choose import Knowledge, make_decoder
from asr_ligru.decode.wfst import cache
from asr_ligru.decode.wfst.decoder import WfstDecoder
from asr_ligru.decode.wfst.make import make_wfst_decoder
from asr_ligru.decode.words import WordDecoder
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.hmm.decode_words import SearchOptions, Unigram
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.text.arpa import write_arpa
from tests.hmm.hybrid_case import path_of, sure_of, tiny_hmm
from tests.tiny_corpus import PITCH_HZ
from tests.tiny_model import write_model

pytest.importorskip("kaldi_decoder")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return load_model(write_model(tmp_path / "model"))


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    write_arpa(tmp_path / "lm.arpa", Unigram.of([" ".join(PITCH_HZ)], PITCH_HZ).model())
    return tmp_path / "lm.arpa"


def test_make_wfst_decoder_ctc_reads_words_of_the_language_model(model: LoadedModel, lm: Path) -> None:
    decoder = make_decoder(model, "wfst", Knowledge(lm=lm))
    word = next(iter(PITCH_HZ))
    ids = model.tokenizer.encode(word)
    frames = torch.nn.functional.one_hot(
        torch.tensor([i for token in ids for i in (token, 0)]), model.tokenizer.vocab_size
    )
    result = decoder(frames[None].mul(20.0).log_softmax(-1), torch.tensor([len(frames)]))[0]
    assert (result.text, result.words[0].start, result.words[0].end) == (word, 0, len(frames) - 1)
    assert result.words[0].confidence > 0.99


def test_make_wfst_decoder_hybrid_equals_the_search_of_words(model: LoadedModel) -> None:
    hmm = tiny_hmm()
    weights = DecodeConfig(acoustic_scale=0.3, word_score=-0.5, beam=1e3)
    hybrid = replace(model, hmm=hmm, config=replace(model.config, decode=weights))
    rows = [sure_of(path_of(phones, hmm), sharpness=1.0) for phones in ("SIL G O SIL N O SIL", "N G O SIL", "N N O")]
    noise = torch.randn(3, 42, 12, generator=torch.Generator().manual_seed(0))
    batch = (torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) + noise[:, : len(rows[0])]).log_softmax(-1)
    lens = torch.tensor([len(row) for row in rows])
    expected = WordDecoder(hmm, SearchOptions(0.3, -0.5))(batch, lens)
    for found, plain in zip(make_wfst_decoder(hybrid)(batch, lens), expected, strict=True):
        assert found.text == plain.text
        assert found.score == pytest.approx(plain.score, abs=1e-4)
        assert [(w.start, w.end) for w in found.words] == [(w.start, w.end) for w in plain.words]


def test_make_wfst_decoder_graph_is_made_once(model: LoadedModel, lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wfst_decoder(model, lm)
    kept = cache.default_cache()
    assert len([*kept.iterdir()]) == 1
    monkeypatch.setattr("asr_ligru.decode.wfst.make.ctc_graph", None)
    make_wfst_decoder(model, lm)
    with pytest.raises(TypeError):
        make_wfst_decoder(model, lm, cache=kept / "other")


def test_make_decoder_model_configured_for_wfst_is_searched_so(model: LoadedModel, lm: Path) -> None:
    configured = replace(model, config=replace(model.config, decode=DecodeConfig(name="wfst", lm=str(lm))))
    assert isinstance(make_decoder(configured), WfstDecoder)


def test_make_wfst_decoder_without_language_model_says_what_to_give(model: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a language model"):
        make_wfst_decoder(model)
    with pytest.raises(DataError, match="language model"):
        make_wfst_decoder(model, tmp_path / "absent.arpa")
    with pytest.raises(ConfigError, match="hot words"):
        make_decoder(model, "wfst", Knowledge(hot_words=("A",)))
