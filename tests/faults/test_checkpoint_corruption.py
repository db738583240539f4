"""Bits flip, files are cut, swapped or replaced by attacks: every change is noticed and nothing in a file is run."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_ligru.config import TokensConfig
from asr_ligru.errors import DataError
from asr_ligru.models.folder import read_model_folder, write_model_folder
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety.sealed import seal_folder
from asr_ligru.text.tokenizer import build_tokenizer
from asr_ligru.train import checkpoint

CHECKPOINT_FILES = ("checkpoint.json", "model.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json")
MODEL_FILES = ("model.json", "model.safetensors", "frontend.safetensors", "spm.model", "tokenizer.json")


def write_checkpoint(folder: Path, step: int = 7) -> Path:
    tensors = {
        "model": {"w": torch.arange(300.0)},
        "optimizer": {"w/step": torch.tensor(7.0)},
        "rng": {"cpu": torch.get_rng_state()},
    }
    return checkpoint.commit(folder, step, tensors, {"epoch": 3, "note": "é"})


def write_model(folder: Path) -> Path:
    tokenizer = build_tokenizer(TokensConfig(name="bpe", vocab_size=20), ["one two three", "four five six"])
    tensors, stats = {"w": torch.arange(300.0)}, {"mean": torch.zeros(3)}
    return write_model_folder(
        folder / "model", tensors=tensors, meta={"a": 1}, tokenizer=tokenizer, frontend_tensors=stats
    )


def damage(path: Path, draw: random.Random) -> None:
    """Flip one bit, cut the end off, or append a byte."""
    raw = bytearray(path.read_bytes())
    kind = draw.random()
    if kind < 0.8:
        raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    elif kind < 0.95:
        del raw[draw.randrange(len(raw)) :]
    else:
        raw += bytes([draw.randrange(33, 256)])
    path.write_bytes(raw)


def check_damage_is_noticed(folder: Path, load: Callable[[Path], object], n: int) -> None:
    load(folder)
    draw = random.Random(3)
    for _ in range(n):
        path = draw.choice(sorted(folder.iterdir()))
        good = path.read_bytes()
        damage(path, draw)
        with pytest.raises(DataError) as caught:
            load(folder)
        assert path.name in str(caught.value)
        path.write_bytes(good)
    load(folder)


def test_load_200_damaged_files_are_noticed(tmp_path: Path) -> None:
    check_damage_is_noticed(write_checkpoint(tmp_path), checkpoint.load, 200)


@pytest.mark.fuzz
def test_load_2000_damaged_files_are_noticed(tmp_path: Path) -> None:
    check_damage_is_noticed(write_checkpoint(tmp_path), checkpoint.load, 2000)


def test_model_folder_200_damaged_files_are_noticed(tmp_path: Path) -> None:
    check_damage_is_noticed(write_model(tmp_path), read_model_folder, 200)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._canary),)


def pickle_bomb(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb(canary)))


def pickle_in_zip(path: Path, canary: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:  # what torch.save writes
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(canary)))


def link_to_passwd(path: Path, canary: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def sparse_10_gb(path: Path, canary: Path) -> None:
    os.truncate(path, 10 << 30)


ATTACKS = (pickle_bomb, pickle_in_zip, link_to_passwd, sparse_10_gb)
CASES = [(write_checkpoint, checkpoint.load, file) for file in CHECKPOINT_FILES]
CASES += [(write_model, read_model_folder, file) for file in MODEL_FILES]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("write", "load", "file"), CASES)
def test_load_replaced_file_runs_nothing_and_is_refused(
    tmp_path: Path,
    write: Callable[[Path], Path],
    load: Callable[[Path], object],
    file: str,
    attack: Callable[..., None],
) -> None:
    folder = write(tmp_path)
    attack(folder / file, tmp_path / "canary")
    with pytest.raises(DataError) as caught:
        load(folder)
    assert caught.value.exit_code == 3
    assert file in str(caught.value)
    assert "root:" not in str(caught.value)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("file", CHECKPOINT_FILES[1:])
def test_load_sealed_attack_runs_nothing_and_is_refused(tmp_path: Path, file: str) -> None:
    names = [name for name in CHECKPOINT_FILES[1:] if name != file]
    good = write_checkpoint(tmp_path / "good")
    files = {name: (good / name).read_bytes() for name in names}
    files[file] = pickle.dumps(Bomb(tmp_path / "canary"))
    seal_folder(tmp_path / "step-000007", files, seal="checkpoint.json", format=1, head={"step": 7})
    with pytest.raises(DataError, match="cannot read"):
        checkpoint.load(tmp_path / "step-000007")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "body", ["[]", "{}", '{"format": "1"}', '{"format": 1, "files": [], "head": {}}', '"x"', "null"]
)
def test_load_seal_of_wrong_types_is_refused(tmp_path: Path, body: str) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / "checkpoint.json").write_text(body)
    with pytest.raises(DataError, match=r"checkpoint\.json"):
        checkpoint.load(folder)


def test_load_listed_name_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "step-000001"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "asr_ligru.safety.sealed._write_flushed", lambda path, raw: (tmp_path / path.name).write_bytes(raw)
        )
        seal_folder(folder, {"../secret": b"x"}, seal="checkpoint.json", format=1, head={"step": 1})
    shutil.move(tmp_path / "checkpoint.json", folder)
    with pytest.raises(DataError, match="leaves the folder"):
        checkpoint.load(folder)


def check_header_mutations(tmp_path: Path, n: int) -> None:
    """Change safetensors headers in a few places: each file is read as tensors or refused, never anything else."""
    good = pack({"a": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2, dtype=torch.int64)})
    header = 8 + int.from_bytes(good[:8], "little")
    draw, path, refused = random.Random(4), tmp_path / "x.safetensors", 0
    for _ in range(n):
        raw = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            raw[draw.randrange(header)] = draw.choice(b'{}[]":,0123456789aIF\x00\xff')
        path.write_bytes(raw)
        try:
            assert sum(t.numel() for t in unpack(path).values()) < 100
        except DataError:
            refused += 1
    assert refused > n // 2


def test_unpack_300_changed_headers_are_read_or_refused(tmp_path: Path) -> None:
    check_header_mutations(tmp_path, 300)


@pytest.mark.fuzz
def test_unpack_2000_changed_headers_are_read_or_refused(tmp_path: Path) -> None:
    check_header_mutations(tmp_path, 2000)


def test_load_state_nested_too_deep_is_refused(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(30):
        deep = [deep]
    files = {"state.json": json.dumps({"a": deep}).encode()}
    seal_folder(tmp_path / "step-000001", files, seal="checkpoint.json", format=1, head={"step": 1})
    with pytest.raises(DataError, match="nested deeper"):
        checkpoint.load(tmp_path / "step-000001")
