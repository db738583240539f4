"""Tuning: the best combination is found on the development set, written, and never sought on the test set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_ligru.data.manifest import read_manifest, write_manifest
from asr_ligru.decode.beam.settings import read_settings
from asr_ligru.decode.choose import Knowledge, make_decoder
from asr_ligru.decode.run import decode_utterances
from asr_ligru.decode.trials import Trial, render_trials, write_trials
from asr_ligru.decode.tune import Grid, development_set, tune
from asr_ligru.errors import ConfigError, DataError
from asr_ligru.models.load import LoadedModel, load_model
from asr_ligru.text.arpa import write_arpa
from asr_ligru.text.kneser_ney import estimate
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
    grid = Grid((lm,), lm_weights=(0.0, 0.5, 2.0), word_bonuses=(-1.0, 3.0))
    ticks: list[None] = []
    done = tune(model, development_set(model, "dev", corpus), grid, tick=lambda: ticks.append(None))
    assert len(ticks) == 6 + grid.size == 12
    return done


def test_tune_best_first_and_as_good_as_decoding_with_it(model: LoadedModel, corpus: Path, trials: list[Trial]) -> None:
    assert [t.rank for t in trials] == sorted(t.rank for t in trials)
    assert {(t.settings.lm_weight, t.settings.word_bonus) for t in trials} == {
        (a, b) for a in (0.0, 0.5, 2.0) for b in (-1.0, 3.0)
    }
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install asr-ligru[viz]")
    write_trials(corpus / "out", trials, "dev")
    decoder = make_decoder(model, knowledge=Knowledge(settings=corpus / "out" / "decode.json"))
    utterances = read_manifest(corpus / "dev.jsonl")
    hyps, _ = decode_utterances(model, utterances, decoder=decoder)
    assert [hyp.text for hyp in hyps] == [u.hyp for u in trials[0].scores.utterances]
    assert (corpus / "out" / "surface.png").read_bytes().startswith(b"\x89PNG")
    assert read_settings(corpus / "out" / "decode.json").tuned["trials"] == 6


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
        tune(model, gone, Grid(()))
