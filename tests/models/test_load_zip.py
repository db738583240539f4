"""A model in one file: the same model, and nothing that a hostile archive could do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from asr_ligru.errors import DataError
from asr_ligru.models.load import load_model
from tests.tiny_model import write_model


def zipped(folder: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)
    return path


@pytest.mark.parametrize("prefix", ["", "model/"])
def test_load_zip_gives_the_model_it_was_made_of(prefix: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    before, after = load_model(folder), load_model(zipped(folder, tmp_path / "m.zip", prefix))
    assert after.config == before.config
    assert after.tokenizer.files() == before.tokenizer.files()
    tensors = before.network.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in after.network.state_dict().items())


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.98])
def test_load_zip_cut_short_is_a_data_error_that_names_it(keep: float, tmp_path: Path) -> None:
    path = zipped(write_model(tmp_path / "model"), tmp_path / "m.zip")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(DataError, match="refused to unpack") as caught:
        load_model(path)
    assert str(path) in caught.value.where


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "model/../../outside"])
def test_load_zip_that_leaves_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    path = zipped(write_model(tmp_path / "in" / "model"), tmp_path / "in" / "m.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "gotcha")
    with pytest.raises(DataError, match="leaves the target"):
        load_model(path)
    assert not list(tmp_path.rglob("outside"))


def test_load_zip_with_an_altered_file_is_a_data_error(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    path = zipped(folder, tmp_path / "m.zip")
    with pytest.raises(DataError, match=r"model\.safetensors: altered") as caught:
        load_model(path)
    assert caught.value.where == f"{path}, model.safetensors"


def test_load_zip_bomb_is_refused_before_it_is_written(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.safetensors", bytes(70 << 20))
    with pytest.raises(DataError, match="unpacks to more than"):
        load_model(tmp_path / "m.zip")


def test_load_file_of_another_kind_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "m.zip").write_text("hello", encoding="utf-8")
    with pytest.raises(DataError, match=r"not a \.tar, \.tar\.gz, \.tar\.bz2 or \.zip file"):
        load_model(tmp_path / "m.zip")
    with zipfile.ZipFile(tmp_path / "n.zip", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match="not a model folder"):
        load_model(tmp_path / "n.zip")
