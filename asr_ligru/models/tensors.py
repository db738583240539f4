"""Named tensors as bytes and back, in the safetensors format: numbers only, nothing that could run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from asr_ligru.errors import DataError
from asr_ligru.safety import printable


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the tensors as one safetensors document; tensors that share memory are written once each."""
    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    )


def unpack(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file into memory of its own.

    Raises:
        DataError: the file is absent or not safetensors.
    """
    try:
        return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}
    except (OSError, LookupError, ValueError, safetensors.SafetensorError) as error:
        raise DataError("cannot read tensors", where=printable(str(path))) from error
