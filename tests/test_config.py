"""Every key has a range; wrong keys and values are all named at once."""

from __future__ import annotations

import pytest

from asr_ligru.config import Config, TrainConfig, as_dict, build
from asr_ligru.errors import ConfigError


def test_build_of_as_dict_returns_an_equal_config() -> None:
    config = build(Config, {"train": {"lr": 0.5, "augment": {"speed": [0.9, 1.1]}}, "seed": 7})
    assert build(Config, as_dict(config)) == config
    assert (config.train.lr, config.train.augment.speed, config.seed) == (0.5, (0.9, 1.1), 7)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"train": {"lrr": 1}}, ["'train.lrr'", "'lr'"]),
        ({"train": {"lr": "fast"}}, ["train.lr", "expected float", "'fast'"]),
        ({"train": {"lr": -1.0}}, ["train.lr", "from 0.0 to 10.0", "-1.0"]),
        ({"train": {"epochs": True}}, ["train.epochs", "expected int"]),
        ({"train": {"epochs": None}}, ["train.epochs", "must not be null"]),
        ({"train": {"optimizer": "adamv"}}, ["'adamv'", "did you mean 'adam'"]),
        ({"train": {"augment": {"speed": ["x"]}}}, ["train.augment.speed", "list of numbers"]),
        ({"train": {"augment": {"tempo": [1.0, 2.5]}}}, ["train.augment.tempo", "from 0.5 to 2.0"]),
        ({"train": {"augment": {"noise_snr_db": [20, 0]}}}, ["train.augment.noise_snr_db", "least and the most"]),
        ({"train": {"augment": {"codecs": ["mp3", "aac"]}}}, ["train.augment.codecs", "'aac'"]),
        ({"model": {"inter_ctc_layers": [1.5]}}, ["model.inter_ctc_layers", "list of whole numbers", "[1.5]"]),
        ({"model": {"inter_ctc_layers": 2}}, ["model.inter_ctc_layers", "list of whole numbers", "got 2"]),
        ({"model": {"ctc_weight": 1.5}}, ["model.ctc_weight", "from 0.0 to 1.0", "1.5"]),
        ({"model": {"inter_ctc_weight": 1}}, ["model.inter_ctc_weight", "from 0.0 to 0.95", "got 1"]),
        ({"cell": "ligru"}, ["cell", "group of keys"]),
        ({"sead": 1}, ["'sead'", "'seed'"]),
    ],
)
def test_build_with_a_wrong_setting_names_key_and_fix(tree: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Config, tree)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_build_with_three_wrong_settings_names_all() -> None:
    with pytest.raises(ConfigError, match=r"3 wrong settings.*lrr.*epochs.*seed"):
        build(Config, {"train": {"lrr": 1, "epochs": 0}, "seed": -1})


def test_build_takes_null_only_where_it_means_something() -> None:
    assert build(TrainConfig, {"max_grad_norm": None}).max_grad_norm is None
