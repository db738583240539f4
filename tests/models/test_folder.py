"""Model folders: complete, verified, replaced at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from asr_ligru.config import TokensConfig
from asr_ligru.errors import DataError, EnvironmentError_
from asr_ligru.models.folder import read_model_folder, write_model_folder
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.tokenizer import build_tokenizer

TEXTS = ["go on", "no go"]
LEXICON = Lexicon({"go": [("G", "OW")], "on": [("AO", "N")], "no": [("N", "OW")]})


def write(
    folder: Path, kind: str = "char", *, value: float = 1.0, stats: bool = True, lexicon: Path | None = None
) -> Path:
    return write_model_folder(
        folder,
        tensors={"w": torch.full((3,), value)},
        meta={"config": {"cell": {"name": "ligru"}}, "num_features": 40},
        tokenizer=build_tokenizer(TokensConfig(name=kind, vocab_size=12), TEXTS, LEXICON),
        frontend_tensors={"mean": torch.ones(2)} if stats else {},
        lexicon_path=lexicon,
    )


@pytest.mark.parametrize("kind", ["char", "word", "bpe", "phone"])
def test_read_written_folder_gives_everything_back(tmp_path: Path, kind: str) -> None:
    found = read_model_folder(write(tmp_path / "run" / "model", kind))
    assert found.meta == {"config": {"cell": {"name": "ligru"}}, "num_features": 40}
    assert torch.equal(found.tensors["w"], torch.ones(3))
    assert torch.equal(found.frontend_tensors["mean"], torch.ones(2))
    assert [found.tokenizer.decode(found.tokenizer.encode(text)) for text in TEXTS] == TEXTS
    assert (found.lexicon is not None) == (kind == "phone")


def test_read_folder_without_statistics_has_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", stats=False)
    assert read_model_folder(folder).frontend_tensors == {}
    assert sorted(os.listdir(folder)) == ["model.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize("kind", ["char", "phone"])
def test_write_lexicon_is_kept_beside_the_tokenizer(tmp_path: Path, kind: str) -> None:
    (tmp_path / "lexicon.txt").write_text("go G OW\non AO N\nno N OW\n")
    found = read_model_folder(write(tmp_path / "model", kind, lexicon=tmp_path / "lexicon.txt"))
    assert found.lexicon is not None
    assert set(found.lexicon) == set(LEXICON)


def test_write_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    write(tmp_path / "model", "bpe", value=1.0)
    write(tmp_path / "model", "char", value=2.0)
    assert torch.equal(read_model_folder(tmp_path / "model").tensors["w"], torch.full((3,), 2.0))
    assert not (tmp_path / "model" / "spm.model").exists()
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 5])
def test_write_failing_keeps_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    write(tmp_path / "model", value=1.0)
    left, fsync = [at], os.fsync

    def failing(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        if at == 5:  # after the rename: the new one is in place, but may not survive a power loss
            with pytest.raises(EnvironmentError_):
                write(tmp_path / "model", value=2.0)
            assert torch.equal(read_model_folder(tmp_path / "model").tensors["w"], torch.full((3,), 2.0))
            return
        with pytest.raises(EnvironmentError_, match="disk full"):
            write(tmp_path / "model", value=2.0)
    assert torch.equal(read_model_folder(tmp_path / "model").tensors["w"], torch.ones(3))
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("file", ["model.json", "model.safetensors", "tokenizer.json", "frontend.safetensors"])
@pytest.mark.parametrize("change", ["missing", "altered"])
def test_read_missing_or_altered_file_is_named(tmp_path: Path, file: str, change: str) -> None:
    path = write(tmp_path / "model") / file
    content = path.read_bytes()
    path.unlink() if change == "missing" else path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError) as caught:
        read_model_folder(tmp_path / "model")
    assert file in caught.value.what + caught.value.where
    assert str(tmp_path) in caught.value.where


def test_read_foreign_file_or_folder_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    (folder / "lexicon.txt").write_text("go G OW\n")
    with pytest.raises(DataError, match=r"lexicon\.txt: not listed in model\.json") as caught:
        read_model_folder(folder)
    assert caught.value.fix
    with pytest.raises(DataError, match="not a model folder"):
        read_model_folder(tmp_path)
    with pytest.raises(DataError, match="not a model folder"):
        read_model_folder(tmp_path / "absent")


def test_read_model_folder_that_is_none_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it does not exist"):
        read_model_folder(tmp_path / "nothing")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(DataError, match="has not finished"):
        read_model_folder(tmp_path)
