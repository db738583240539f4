"""Tuning: the best combination is found on the development set, written, and never sought on the test set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.decode.choose import Knowledge, make_decoder
from asr_ligru.decode.grids import BeamGrid, Grid, WfstGrid
from asr_ligru.decode.rescore import RescoreGrid
from asr_ligru.decode.run import decode_utterances
from asr_ligru.decode.settings import SettingsFile, read_settings, write_settings
from asr_ligru.decode.trials import Trial, render_trials, write_trials
from asr_ligru.decode.tune import development_set, tune
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.lm.model import write_lm
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.text.arpa import write_arpa
from asr_ligru.text.kneser_ney import estimate
from tests.lm.tiny_lm import tiny_lm
from tests.tiny_corpus import write_corpus
from tests.tiny_model import write_model

pytest.importorskip("kenlm", reason="kenlm is not installed: pip install asr-ligru[lm]")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_model(tmp_path_factory.mktemp("tune") / "model"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_train=2)


@pytest.fixture(scope="module")
def trials(model: LoadedModel, corpus: Path) -> list[Trial]:
    lm = corpus / "x.arpa"
    write_arpa(lm, estimate([["ab", "cd"], ["ef"], ["gh", "ab"]], 2).model)
    grid = BeamGrid((lm,), lm_weights=(0.0, 0.5, 2.0), word_bonuses=(-1.0, 3.0))
    ticks: list[None] = []
    done = tune([model], development_set(model, "dev", corpus), grid, tick=lambda: ticks.append(None))
    assert len(ticks) == 6 + len(grid.settings(model)) == 12
    return done


def test_tune_best_first_and_as_good_as_decoding_with_it(model: LoadedModel, corpus: Path, trials: list[Trial]) -> None:
    assert [t.rank for t in trials] == sorted(t.rank for t in trials)
    assert {t.cells()[4:6] for t in trials} == {(a, b) for a in ("0", "0.5", "2") for b in ("-1", "3")}
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install asr-ligru[viz]")
    write_trials(corpus / "out", trials, "dev")
    decoder = make_decoder(model, knowledge=Knowledge(settings=corpus / "out" / "decode.json"))
    utterances = read_manifest(corpus / "dev.jsonl")
    hyps, _ = decode_utterances(model, utterances, decoder=decoder)
    assert [hyp.text for hyp in hyps] == [u.hyp for u in trials[0].scores[0].utterances]
    assert (corpus / "out" / "surface.png").read_bytes().startswith(b"\x89PNG")
    assert read_settings(corpus / "out" / "decode.json").tuned["trials"] == 6


def test_tune_several_models_add_up_their_errors(model: LoadedModel, corpus: Path, trials: list[Trial]) -> None:
    grid = BeamGrid((corpus / "x.arpa",), lm_weights=(0.5,), word_bonuses=(3.0,))
    (both,) = tune([model, model], read_manifest(corpus / "dev.jsonl"), grid)
    (alone,) = (t for t in trials if t.settings == both.settings)
    assert (both.words.errors, both.words.ref) == (2 * alone.words.errors, 2 * alone.words.ref)


def test_tune_graph_search_is_as_good_as_decoding_with_it(
    model: LoadedModel, corpus: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kaldi_decoder", reason="kaldi-decoder is not installed: pip install asr-ligru[wfst]")
    monkeypatch.setenv("XDG_CACHE_HOME", str(corpus / "cache"))
    utterances = read_manifest(corpus / "dev.jsonl")
    grid = WfstGrid((corpus / "x.arpa",), acoustic_scales=(0.2, 2.0), word_scores=(-1.0, 5.0))
    best = tune([model], utterances, grid)[0]
    file = SettingsFile(best.settings, best.lm)
    write_settings(corpus / "wfst.json", file)
    hyps, _ = decode_utterances(
        model, utterances, decoder=make_decoder(model, knowledge=Knowledge(settings=corpus / "wfst.json"))
    )
    assert [hyp.text for hyp in hyps] == [u.hyp for u in best.scores[0].utterances]
    given = Knowledge(settings=corpus / "wfst.json", acoustic_scale=0.01, word_score=50.0)
    hyps, _ = decode_utterances(model, utterances, decoder=make_decoder(model, knowledge=given))
    assert sum(len(hyp.text.split()) for hyp in hyps) > best.words.ref


@pytest.mark.parametrize("decoder", ["beam", "wfst"])
def test_tune_rescoring_is_as_good_as_decoding_with_it(
    model: LoadedModel, corpus: Path, trials: list[Trial], monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(corpus / "cache"))
    grid: Grid = BeamGrid((corpus / "x.arpa",), lm_weights=(0.5,), word_bonuses=(3.0,))
    if decoder == "wfst":
        pytest.importorskip("kaldi_decoder", reason="kaldi-decoder is not installed: pip install asr-ligru[wfst]")
        grid = WfstGrid((corpus / "x.arpa",), acoustic_scales=(0.05,), word_scores=(2.0,))
    write_lm(corpus / "lm", tiny_lm(), {})
    utterances = read_manifest(corpus / "dev.jsonl")
    tried = tune([model], utterances, grid, RescoreGrid((corpus / "lm",), (0.0, 1.0), (0.0, 40.0)))
    texts = {}
    for trial in tried:
        assert trial.rescore is not None
        write_settings(corpus / "again.json", SettingsFile(trial.settings, trial.lm, rescore=trial.rescore))
        heard = make_decoder(model, knowledge=Knowledge(settings=corpus / "again.json"))
        hyps, _ = decode_utterances(model, utterances, decoder=heard)
        texts[trial.point] = [hyp.text for hyp in hyps]
        assert texts[trial.point] == [u.hyp for u in trial.scores[0].utterances]
    (plain,) = tune([model], utterances, grid)
    assert texts[0.0, 0.0] == [u.hyp for u in plain.scores[0].utterances]
    assert len({tuple(found) for found in texts.values()}) > 1
    assert [trial.rank for trial in tried] == sorted(trial.rank for trial in tried)
    assert render_trials(tried).splitlines()[0].split()[-3:] == ["rescore_weight", "rescore_bonus", "rescore"]


def test_render_trials_has_a_line_for_each(trials: list[Trial]) -> None:
    lines = render_trials(trials).splitlines()
    assert len(lines) == 7
    assert lines[0].split()[0] == "wer"
    assert float(lines[1].split()[0]) == pytest.approx(trials[0].wer, abs=0.005)


def test_development_set_that_is_the_test_set_is_refused(model: LoadedModel, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not chosen on the test set"):
        development_set(model, "test", corpus)
    for split in ("other", "test"):
        write_manifest(tmp_path / f"{split}.jsonl", read_manifest(corpus / "test.jsonl"))
    with pytest.raises(ConfigError, match="6 utterances of other are in the test set"):
        development_set(model, "other", tmp_path)


def test_tune_nothing_readable_is_an_error(model: LoadedModel, corpus: Path, tmp_path: Path) -> None:
    gone = [replace(u, audio_path=tmp_path / "gone.wav") for u in read_manifest(corpus / "dev.jsonl")]
    with pytest.raises(DataError, match="none of 6 utterances could be read"):
        tune([model], gone, BeamGrid(()))
