"""Loading a model: the same numbers as before it was written, and nothing that does not fit."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from asr_ligru.config import CellConfig, Config, as_dict
from asr_ligru.errors import DataError
from asr_ligru.features.frontend import Frontend
from asr_ligru.models.load import load_model
from tests.tiny_corpus import say
from tests.tiny_model import CONFIG, NUM_BINS, network, write_model

CELLS = {
    "ligru": CONFIG.cell,
    "libru_arith": CellConfig(name="libru_arith", hidden_size=8, num_layers=2),
    "gru": CellConfig(name="gru", hidden_size=8, num_layers=2, norm="none", share_directions=False),
}
GLOBAL = replace(CONFIG, features=replace(CONFIG.features, cmvn="global"))


def with_cell(cell: CellConfig) -> Config:
    return replace(CONFIG, cell=cell)


@pytest.mark.parametrize("cell", CELLS)
def test_load_written_model_gives_the_same_log_probs_bitwise(cell: str, tmp_path: Path) -> None:
    config = with_cell(CELLS[cell])
    loaded = load_model(write_model(tmp_path / "model", config))
    feats = [torch.randn(n, NUM_BINS) for n in (30, 7, 18)]
    expected = network(config)(torch.nn.utils.rnn.pad_sequence(feats, batch_first=True), torch.tensor([30, 7, 18]))
    got = loaded.log_probs(feats)
    assert torch.equal(got[0], expected[0])
    assert got[1].tolist() == expected[1].tolist() == [15, 4, 9]
    assert loaded.config == config
    assert not loaded.network.training
    assert not got[0].requires_grad


def test_load_run_folder_or_its_model_folder_gives_the_same_model(tmp_path: Path) -> None:
    write_model(tmp_path / "run" / "model")
    of_run, of_model = load_model(tmp_path / "run"), load_model(tmp_path / "run" / "model")
    tensors = of_model.network.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in of_run.network.state_dict().items())
    assert of_run.config == of_model.config


def test_load_model_lets_onednn_keep_few_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    load_model(write_model(tmp_path))
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "16"
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "300")
    load_model(tmp_path)
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "300"


def test_load_model_with_fitted_statistics_normalises_as_before(tmp_path: Path) -> None:
    fitted, wav = Frontend(GLOBAL.features), say(["ab", "gh"], 1)
    fitted.fit([("", fitted.extract(say(["cd"], 2)))])
    loaded = load_model(write_model(tmp_path, GLOBAL, frontend_tensors=fitted.state_dict()))
    assert torch.equal(loaded.feats(wav), fitted(fitted.extract(wav)))


def test_load_model_without_its_fitted_statistics_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="global CMVN statistics"):
        load_model(write_model(tmp_path, GLOBAL))


@pytest.mark.parametrize("change", ["shape", "missing", "foreign", "another cell"])
def test_load_tensors_that_do_not_fit_are_a_data_error_with_the_folder(change: str, tmp_path: Path) -> None:
    tensors: dict[str, Any] = dict(network().state_dict())
    if change == "shape":
        tensors["head.weight"] = torch.zeros(3, 16)
    elif change == "missing":
        del tensors["head.weight"]
    elif change == "foreign":
        tensors["head.scale"] = torch.ones(1)
    else:
        tensors = dict(network(with_cell(CELLS["gru"])).state_dict())
    with pytest.raises(DataError, match="do not fit its configuration") as caught:
        load_model(write_model(tmp_path / "model", tensors=tensors))
    assert str(tmp_path) in caught.value.where
    assert "\n" not in caught.value.what


def test_load_altered_file_is_a_data_error(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load_model(folder)


def test_load_folder_without_a_model_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a model folder"):
        load_model(tmp_path)


def test_load_model_temperature_is_one_where_none_was_fitted(tmp_path: Path) -> None:
    meta = {"config": as_dict(CONFIG), "num_features": NUM_BINS}
    assert load_model(write_model(tmp_path / "old", meta=meta)).temperature == 1.0
    assert load_model(write_model(tmp_path / "new", meta={**meta, "temperature": 1.5})).temperature == 1.5
    for value in (0, -1.0, "1", float("inf"), None):
        with pytest.raises(DataError, match="temperature: expected a number"):
            load_model(write_model(tmp_path / "bad", meta={**meta, "temperature": value}))


def test_load_unpickles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("a model folder was unpickled")

    folder = write_model(tmp_path)
    for owner, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(owner, name, refuse)
    assert load_model(folder).config == CONFIG


def test_load_model_of_before_there_were_ctc_heads_beside_others(tmp_path: Path) -> None:
    config = as_dict(CONFIG)
    for key in ("ctc_weight", "inter_ctc_layers", "inter_ctc_weight"):
        del config["model"][key]
    old = write_model(tmp_path / "old", meta={"config": config, "num_features": NUM_BINS})
    expected, got = (load_model(path).network.state_dict() for path in (write_model(tmp_path / "new"), old))
    assert all(torch.equal(expected[name], got[name]) for name in expected.keys() | got.keys())
