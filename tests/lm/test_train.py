"""Training: what is learned, the same bits again, and going on after a signal or with more epochs."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from asr_ligru.errors import ConfigError, DataError, DivergedError
from asr_ligru.lm.model import NeuralLm
from asr_ligru.lm.settings import lm_config
from asr_ligru.lm.train import Texts, train_lm
from asr_ligru.train.interrupt import Interrupted
from asr_ligru.train.progress import ProgressBar
from tests.lm.tiny_lm import settings

TEXTS = Texts(["one two", "two one two", "one", "two two", "one two one", "two"] * 4, ["one two two", "two one"])
CONFIG = settings(hidden_size=12, batch_size=4, epochs=3, lr=0.02)


def parameters(lm: NeuralLm) -> dict[str, Tensor]:
    return lm.network.state_dict()


def same(one: NeuralLm, other: NeuralLm) -> bool:
    mine, theirs = parameters(one), parameters(other)
    return mine.keys() == theirs.keys() and all(mine[name].equal(theirs[name]) for name in mine)


def test_train_learns_the_texts_and_writes_its_metrics(tmp_path: Path) -> None:
    lm, facts = train_lm(replace(CONFIG, epochs=8), TEXTS, tmp_path, progress=False)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 8
    assert lines[-1]["dev_perplexity_word"] < 0.5 * lines[0]["dev_perplexity_word"]
    assert facts["dev_perplexity_word"] == min(line["dev_perplexity_word"] for line in lines)
    assert lm.perplexity(TEXTS.dev).per_word == pytest.approx(facts["dev_perplexity_word"], rel=1e-6)


def test_train_again_from_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    one, other = (train_lm(CONFIG, TEXTS, tmp_path / name, progress=False)[0] for name in "ab")
    assert same(one, other)


def test_train_stopped_inside_an_epoch_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, facts = train_lm(CONFIG, TEXTS, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(ProgressBar, "advance_to", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(Interrupted) as caught:
            train_lm(CONFIG, TEXTS, tmp_path / "stopped", progress=False)
    assert caught.value.code == 130
    assert not (tmp_path / "stopped" / "lm").exists()
    assert [p.name for p in (tmp_path / "stopped" / "checkpoints").iterdir()] == ["step-000001"]
    continued, again = train_lm(CONFIG, TEXTS, tmp_path / "stopped", progress=False)
    assert same(whole, continued)
    assert {**again, "train_s": 0} == {**facts, "train_s": 0}


def test_train_with_more_epochs_goes_on_and_keeps_the_best(tmp_path: Path) -> None:
    whole, facts = train_lm(CONFIG, TEXTS, tmp_path / "whole", progress=False)
    train_lm(settings(hidden_size=12, batch_size=4, epochs=1, lr=0.02), TEXTS, tmp_path / "parts", progress=False)
    parts, _ = train_lm(CONFIG, TEXTS, tmp_path / "parts", progress=False)
    assert same(whole, parts)
    kept = {p.name for p in (tmp_path / "parts" / "checkpoints").iterdir()}
    assert f"step-{facts['step']:06d}" in kept
    assert len(kept) <= 2


def test_train_ends_when_the_development_set_gains_no_more(tmp_path: Path) -> None:
    config = settings(hidden_size=12, batch_size=4, epochs=50, early_stopping=1, lr=1e-9)
    _, facts = train_lm(config, Texts(TEXTS.train, ["zzz"]), tmp_path, progress=False)
    assert facts["epochs"] < 50


def test_train_with_other_settings_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    train_lm(CONFIG, TEXTS, tmp_path, progress=False)
    other = settings(hidden_size=13, batch_size=4, epochs=3, lr=0.01)
    with pytest.raises(ConfigError, match="with other cell, lr, texts"):
        train_lm(other, Texts(TEXTS.train, ["two"]), tmp_path, progress=False)


@pytest.mark.parametrize(("train", "dev", "message"), [((), ("a",), "to train on"), (("a",), (), "in the development")])
def test_train_without_words_is_refused(tmp_path: Path, train: tuple[str], dev: tuple[str], message: str) -> None:
    with pytest.raises(DataError, match=f"no words {message}"):
        train_lm(CONFIG, Texts(train, dev), tmp_path, progress=False)


def test_train_that_diverges_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from asr_ligru.lm.network import LmNetwork

    plain = LmNetwork.forward
    monkeypatch.setattr(LmNetwork, "forward", lambda *given: plain(*given) / 0.0)
    with pytest.raises(DivergedError, match="not finite"):
        train_lm(CONFIG, TEXTS, tmp_path, progress=False)


def test_texts_held_out_are_a_share_drawn_by_the_seed() -> None:
    texts = [f"t{n}" for n in range(50)]
    divided = Texts.held_out(texts, 0.1, 1)
    assert len(divided.dev) == 5
    assert sorted([*divided.train, *divided.dev]) == sorted(texts)
    assert divided == Texts.held_out(texts, 0.1, 1) != Texts.held_out(texts, 0.1, 2)
    assert [len(part) for part in (lambda t: (t.train, t.dev))(Texts.held_out(["a", "b"], 1e-6, 1))] == [1, 1]
    with pytest.raises(DataError, match="1 sentences cannot be divided"):
        Texts.held_out(["a"], 0.5, 1)


def test_lm_config_out_of_range_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cell\.hidden_size: expected a value from 1.*dropout: expected"):
        lm_config(CONFIG.cell, {"hidden_size": 0, "dropout": 2.0})
