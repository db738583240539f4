"""Model folders: all that decoding needs, in files that run no code and whose changes are noticed.

``model.safetensors``, the tokenizer's files, ``frontend.safetensors`` where features have fitted statistics,
``lexicon.txt`` where there is one, ``hmm.safetensors`` and ``lm.arpa`` of a hybrid model, and ``model.json`` with the
configuration and the SHA-256 of every other file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.hmm.hybrid import HybridHmm
from asr_ligru.models.tensors import pack, unpack
from asr_ligru.safety import printable
from asr_ligru.safety.sealed import open_sealed, seal_folder
from asr_ligru.text.lexicon import Lexicon
from asr_ligru.text.tokenizer import Tokenizer

FORMAT = 1
_SEAL = "model.json"
_MODEL = "model.safetensors"
_FRONTEND = "frontend.safetensors"
_LEXICON = "lexicon.txt"


@dataclass(frozen=True)
class ModelFolder:
    """What ``write_model_folder`` was given.

    Attributes:
        path: the folder.
        meta: JSON values, the configuration among them.
        tensors: the network's parameters and buffers.
        tokenizer: its output units.
        frontend_tensors: fitted statistics of the features; may be empty.
        lexicon: pronunciations, or None.
        hmm: the HMM of a hybrid model, or None.
    """

    path: Path
    meta: dict[str, Any]
    tensors: dict[str, Tensor]
    tokenizer: Tokenizer
    frontend_tensors: dict[str, Tensor]
    lexicon: Lexicon | None
    hmm: HybridHmm | None


def write_model_folder(
    folder: Path,
    *,
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    tokenizer: Tokenizer,
    frontend_tensors: Mapping[str, Tensor],
    lexicon_path: Path | None = None,
    hmm: HybridHmm | None = None,
) -> Path:
    """Write a model folder entirely or not at all, replacing an older one of the same name.

    Args:
        folder: its place; the parent is made where it does not exist.
        tensors: the network's parameters and buffers.
        meta: JSON values that say how to build the network, at most 1 MB.
        tokenizer: its output units. A ``phone`` tokenizer brings the lexicon it was built from.
        frontend_tensors: fitted statistics of the features; may be empty.
        lexicon_path: a lexicon to keep beside a tokenizer that has none.
        hmm: of a hybrid model.

    Returns:
        The folder.

    Raises:
        EnvironmentError_: disk full or not writable; an older folder is untouched.
    """
    files = {_MODEL: pack(tensors)}
    if frontend_tensors:
        files[_FRONTEND] = pack(frontend_tensors)
    if lexicon_path is not None:
        files[_LEXICON] = lexicon_path.read_bytes()
    if hmm is not None:
        files |= hmm.files()
    seal_folder(folder, {**files, **tokenizer.files()}, seal=_SEAL, format=FORMAT, head=meta)
    return folder


def read_model_folder(folder: Path) -> ModelFolder:
    """Read a model folder after checking the SHA-256 of every file.

    Raises:
        DataError: no model folder, a newer format, or a file that is missing, altered or not the model's.
    """
    if not (folder / _SEAL).is_file():
        raise DataError(
            _why_none(folder), where=printable(str(folder)), fix="name a finished run, or its folder `model`"
        )
    meta = open_sealed(folder, seal=_SEAL, format=FORMAT)
    frontend, lexicon = folder / _FRONTEND, folder / _LEXICON
    return ModelFolder(
        path=folder,
        meta=meta,
        tensors=unpack(folder / _MODEL),
        tokenizer=Tokenizer.load(folder),
        frontend_tensors=unpack(frontend) if frontend.is_file() else {},
        lexicon=Lexicon.read(lexicon) if lexicon.is_file() else None,
        hmm=HybridHmm.read(folder),
    )


def _why_none(folder: Path) -> str:
    if not folder.exists():
        return "not a model folder: it does not exist"
    if (folder / "lm.json").is_file() or (folder / "lm" / "lm.json").is_file():
        return "not an acoustic model but a language model"
    if (folder / "checkpoints").is_dir():
        return "not a model folder: a run that has not finished (the command that began it goes on with it)"
    return f"not a model folder: no {_SEAL} in it"
