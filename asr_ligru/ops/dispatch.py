"""Which implementation runs a recurrence, and why.

A cell's implementation for a backend is the function ``recurrence`` in ``asr_ligru.ops.<cell>.<backend>``:

- ``reference``: one loop, any dtype and device; the oracle.
- ``stepped``: plain torch with a hand-written backward, any device.
- ``cpu``: the compiled core; float32 on the CPU, packed frames as they are. Where it was not built, ``stepped``
  takes its place.
- ``triton``: one persistent kernel on a GPU, packed frames as they are; float32 states, operands of the recurrent
  product in the type of the inputs or of autocast.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from typing import Any, cast

import torch
from torch import Tensor

from asr_ligru.errors import ConfigError
from asr_ligru.ops import fused_cpu, fused_triton
from asr_ligru.ops.fused_cpu.gated import CELLS, packed_recurrence
from asr_ligru.ops.packing import Packing
from asr_ligru.registry import nearest

BACKENDS = ("reference", "stepped", "cpu", "triton")
_FASTEST_FIRST = ("triton", "cpu", "stepped", "reference")

_log = logging.getLogger(__name__)


def recurrence(
    cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, backend: str = "auto", **options: Any
) -> Tensor:
    """Run a cell over sequences with the fastest implementation that can, or the one asked for.

    Half-precision inputs are computed in float32: a state carried in bfloat16 stops moving once its changes are
    below 1/256 of it. Only the GPU kernels multiply the operands of the recurrent product as they are.

    Args:
        cell: a package in ``asr_ligru.ops``, such as "ligru".
        wx: (D, B, T, G*H) normalised projection of the input, the reverse direction already reversed.
        u: (D or 1, G*H, H) recurrent weights; 1 when the directions share them. Of some cells, which say so, wx has
            fewer gates or u has.
        h0: (D, B, S) state before the first frame; S is H, or 2H for an LSTM (output and cell).
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        backend: "auto" or one of ``BACKENDS``.
        options: further keywords of the cell's ``reference.recurrence``.

    Returns:
        (D, B, T, S) states, float32 or float64.

    Raises:
        ConfigError: ``backend`` is unknown or cannot run this case; the message says why.
        ValueError: shapes, dtypes or devices do not fit together.
    """
    _check_sizes({"wx": (wx, 4), "u": (u, 3), "h0": (h0, 3)})
    _check_shapes(cell, wx.shape[0], wx.shape[1], {"wx": wx.shape[3] == _width(cell, u)}, u, h0, mask)
    name, inputs = _prepare(cell, backend, wx, u, h0, mask)
    return _run(name, cell, *inputs, **options)


def packed(
    cell: str,
    wx: Tensor,
    packing: Packing,
    u: Tensor,
    h0: Tensor,
    mask: Tensor | None = None,
    *,
    padding: Tensor,
    backend: str = "auto",
    **options: Any,
) -> Tensor:
    """Run a cell over packed frames: directly where the implementation can, else laid out as padded sequences.

    Args:
        cell: a package in ``asr_ligru.ops``, such as "ligru".
        wx: (N, G*H) normalised projection of the valid frames for all directions alike, or (N, D*G*H).
        packing: where the frames stand.
        u: (D or 1, G*H, H) recurrent weights; 1 when the directions share them.
        h0: (D, B, S) state before the first frame; S is H, or 2H for an LSTM (output and cell).
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        padding: (G*H,) what ``wx`` is taken to be behind a sequence's end, where it is laid out.
        backend: "auto" or one of ``BACKENDS``.
        options: further keywords of the cell's ``reference.recurrence``.

    Returns:
        (N, D*S) states in the order of time, float32 or float64.

    Raises:
        ConfigError: ``backend`` is unknown or cannot run this case; the message says why.
        ValueError: shapes, dtypes or devices do not fit together.
    """
    _check_sizes({"wx": (wx, 2), "u": (u, 3), "h0": (h0, 3)})
    directions, width = packing.directions, _width(cell, u)
    wx_fits = wx.shape in ((packing.num_valid, width), (packing.num_valid, directions * width))
    fits = {"wx": wx_fits, "padding": padding.shape == (width,)}
    _check_shapes(cell, directions, len(packing.lens), fits, u, h0, mask)
    name, (wx, u, h0, mask) = _prepare(cell, backend, wx, u, h0, mask)
    if name == "cpu":
        return packed_recurrence(cell, wx, packing.lens, u, h0, mask, **options)
    if name == "triton":
        fused = importlib.import_module("asr_ligru.ops.fused_triton.gated")  # not before triton is known to be there
        with torch.autocast(wx.device.type, enabled=False):
            h = fused.packed_recurrence(cell, wx, packing.lens, packing.num_frames, u, h0, mask, **options)
            return cast(Tensor, h)
    return packing.collect(_run(name, cell, packing.spread(wx, padding), u, h0, mask, **options))


def refusal(backend: str, cell: str, device: str, dtype: torch.dtype, hidden_size: int = 1) -> str:
    """Return in words why ``backend`` cannot run ``cell`` there; empty when it can.

    Args:
        backend: one of ``BACKENDS``.
        cell: a package in ``asr_ligru.ops``.
        device: a torch device type, such as "cuda".
        dtype: of the state.
        hidden_size: H.
    """
    if backend == "triton" and device != "cuda":
        return f"triton runs on a GPU, this is on {device!r}"
    if backend == "cpu" and device != "cpu":
        return f"the compiled core runs on the CPU, this is on {device!r}"
    if backend == "cpu" and dtype != torch.float32:
        return f"the compiled core computes in float32, this is {dtype}"
    if importlib.util.find_spec(f"asr_ligru.ops.{cell}.{backend}") is None:
        return f"{backend} has no {cell} in this version"
    if backend == "cpu":
        return fused_cpu.refusal()
    if backend == "triton":
        return fused_triton.refusal(cell, dtype, hidden_size)
    return ""


def _prepare(
    cell: str, backend: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None
) -> tuple[str, tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Return the backend and its inputs in the precision it computes in, float32 at least."""
    _check_types({"wx": wx, "u": u, "h0": h0, "mask": mask})
    of_products = torch.promote_types(wx.dtype, u.dtype)
    dtype = torch.promote_types(of_products, torch.float32)
    name = _choose(cell, backend, wx.device.type, dtype, u.shape[2])
    states = h0.to(dtype), None if mask is None else mask.to(dtype)
    if name == "triton":
        autocast = torch.is_autocast_enabled("cuda")
        return name, (wx, u.to(torch.get_autocast_dtype("cuda") if autocast else of_products), *states)
    return name, (wx.to(dtype), u.to(dtype), *states)


@functools.cache
def _choose(cell: str, backend: str, device: str, dtype: torch.dtype, hidden_size: int) -> str:
    """Return the backend to run; logs the choice and why, once for each case: a warning where the core is missing."""
    if backend not in ("auto", *BACKENDS):
        raise ConfigError(f"unknown backend {backend!r}", fix=nearest(backend, ("auto", *BACKENDS)))
    candidates = {"auto": _FASTEST_FIRST, "cpu": ("cpu", "stepped", "reference")}.get(backend, (backend,))
    reasons: list[str] = []
    for name in candidates:
        why_not = refusal(name, cell, device, dtype, hidden_size)
        if not why_not:
            because = f" ({'; '.join(reasons)})" if reasons else ""
            level = logging.WARNING if fused_cpu.refusal() in reasons else logging.INFO
            _log.log(level, "%s on %s in %s runs with backend %s%s", cell, device, dtype, name, because)
            return name
        reasons.append(why_not)
    raise ConfigError(f"cell.backend={backend} cannot run {cell}: {'; '.join(reasons)}", fix="use cell.backend=auto")


def _run(name: str, cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None, **options: Any) -> Tensor:
    run = importlib.import_module(f"asr_ligru.ops.{cell}.{name}").recurrence
    with torch.autocast(wx.device.type, enabled=False):
        return cast(Tensor, run(wx, u, h0, mask, **options))


def _width(cell: str, u: Tensor) -> int:
    """Return how wide wx must be: as U h, unless the cell's reference says for how many gates there is an input."""
    gates: int | None = getattr(importlib.import_module(f"asr_ligru.ops.{cell}.reference"), "INPUT_GATES", None)
    return u.shape[1] if gates is None else gates * u.shape[2]


def _check_sizes(inputs: dict[str, tuple[Tensor, int]]) -> None:
    """Check how many dimensions each input has, and that all of them hold something; weights may be empty."""
    for name, (x, dimensions) in inputs.items():
        if x.dim() != dimensions or (name != "u" and not x.numel()) or not x.shape[-1]:
            raise ValueError(f"{name} must have {dimensions} dimensions and not be empty, got {tuple(x.shape)}")


def _check_shapes(
    cell: str, directions: int, batch_size: int, fits: dict[str, bool], u: Tensor, h0: Tensor, mask: Tensor | None
) -> None:
    """Check that inputs fit together, besides what the caller found of others (``fits``)."""
    own, width, hidden_size = u.shape
    rows, known = (directions, batch_size), CELLS.get(cell)
    fits = fits | {
        "u": own in (1, directions) and (width == known.gates * hidden_size if known else width % hidden_size == 0),
        "h0": h0.shape in [(*rows, parts * hidden_size) for parts in ((known.parts,) if known else (1, 2))],
        "mask": mask is None or mask.shape == (*rows, hidden_size),
    }
    wrong = [name for name, good in fits.items() if not good]
    if wrong:
        raise ValueError(
            f"shape of {' and '.join(wrong)} does not fit {directions} directions, {batch_size} sequences and weights "
            f"u {tuple(u.shape)}; the initial state is {tuple(h0.shape)}"
        )


def _check_types(inputs: dict[str, Tensor | None]) -> None:
    tensors = {name: x for name, x in inputs.items() if x is not None}
    devices, found = {x.device for x in tensors.values()}, ", ".join(f"{n} on {x.device}" for n, x in tensors.items())
    if len(devices) > 1:
        raise ValueError(f"all inputs of a recurrence must be on one device, got {found}")
    wrong = [f"{name} {x.dtype}" for name, x in tensors.items() if not x.is_floating_point()]
    if wrong:
        raise ValueError(f"inputs of a recurrence must be floating-point numbers, got {' and '.join(wrong)}")
