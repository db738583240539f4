"""Random inputs of a recurrence, and what comes out of it: states and every gradient."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from asr_ligru.nn.encoder import CELLS
from asr_ligru.nn.recurrent import RecurrentLayer, RecurrentStack

NAMES = ("states", "gradient of wx", "gradient of u", "gradient of h0")


def _layers() -> dict[str, type[RecurrentLayer]]:
    """Return every registered cell that has a recurrence of its own."""
    builders = (CELLS[name] for name in CELLS)
    layers = (builder.args[0] for builder in builders if builder.func is RecurrentStack)  # type: ignore[attr-defined]
    return {layer.cell: layer for layer in layers}


LAYERS = _layers()
STEPPED = [cell for cell in LAYERS if importlib.util.find_spec(f"asr_ligru.ops.{cell}.stepped")]


@dataclass(frozen=True)
class Case:
    """One shape of one cell. States stay bounded: the recurrent weights are small."""

    cell: str
    directions: int = 2
    own: int = 1
    batch_size: int = 3
    num_frames: int = 70
    hidden_size: int = 5
    masked: bool = True
    dtype: torch.dtype = torch.float64

    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return wx, u, h0 and the mask."""
        layer, rows = LAYERS[self.cell], (self.directions, self.batch_size)
        width = layer.gates * self.hidden_size
        height = width if layer.recurrent_gates is None else layer.recurrent_gates * self.hidden_size
        random = torch.Generator().manual_seed(3)
        wx = torch.randn(*rows, self.num_frames, width, generator=random, dtype=torch.float64)
        u = torch.randn(self.own, height, self.hidden_size, generator=random, dtype=torch.float64)
        h0 = torch.rand(*rows, layer.parts * self.hidden_size, generator=random, dtype=torch.float64)
        mask = (torch.rand(*rows, self.hidden_size, generator=random) < 0.8).double() / 0.8
        tensors = (wx, u * 0.5 / math.sqrt(self.hidden_size), h0, mask)
        wx, u, h0, mask = (x.to(self.dtype) for x in tensors)
        return wx, u, h0, mask if self.masked else None

    def run(self, backend: str, **options: Any) -> list[Tensor]:
        """Return the states and the gradients of a weighted sum of them."""
        wx, u, h0, mask = self.inputs()
        leaves = [x.requires_grad_() for x in (wx, u, h0)]
        states = recurrence(self.cell, backend)(*leaves, mask, **options)
        random = torch.Generator().manual_seed(4)
        weights = torch.randn(states.shape, generator=random, dtype=torch.float64).to(self.dtype)
        return [states.detach(), *torch.autograd.grad(states, leaves, weights)]

    def with_dtype(self, dtype: torch.dtype) -> Case:
        """Return the same case, same numbers, in another precision."""
        return replace(self, dtype=dtype)


def extras(cell: str, u: Tensor) -> dict[str, Tensor]:
    """Return random values of the further parameters that the recurrence of ``cell`` takes, to go with ``u``."""
    function = importlib.import_module(f"asr_ligru.ops.{cell}.reference").recurrence
    parameters = inspect.signature(function).parameters.values()
    names = [x.name for x in parameters if x.kind is x.KEYWORD_ONLY and x.default is x.empty]
    random = torch.Generator().manual_seed(5)
    shapes = [(u.shape[0], len(LAYERS[cell].extras[name]) * u.shape[-1]) for name in names]
    values = [torch.randn(shape, generator=random, dtype=torch.float64).to(u.dtype) for shape in shapes]
    return dict(zip(names, values, strict=True))


def recurrence(cell: str, backend: str) -> Any:
    """Return the implementation of ``cell`` for ``backend``, with ``extras`` where a call names none."""
    run = importlib.import_module(f"asr_ligru.ops.{cell}.{backend}").recurrence

    def completed(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, **options: Any) -> Tensor:
        states: Tensor = run(wx, u, h0, mask, **{**extras(cell, u), **options})
        return states

    return completed
