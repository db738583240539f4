"""Which implementation runs a recurrence, and why.

A cell's implementation for a backend is the function ``recurrence`` in ``asr_ligru.ops.<cell>.<backend>``:

- ``reference``: one loop, any dtype and device; the oracle.
- ``stepped``: plain torch with a hand-written backward, any device.
- ``cpu``: the compiled core; float32 on the CPU. Where it was not built, ``stepped`` takes its place.
- ``triton``: one persistent kernel on a GPU; not available in this version.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from asr_ligru.errors import ConfigError
from asr_ligru.registry import nearest

BACKENDS = ("reference", "stepped", "cpu", "triton")
_FASTEST_FIRST = ("triton", "cpu", "stepped", "reference")

_log = logging.getLogger(__name__)


def recurrence(
    cell: str, wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None = None, *, backend: str = "auto", **options: Any
) -> Tensor:
    """Run a cell over sequences with the fastest implementation that can, or the one asked for.

    Half-precision inputs are computed in float32: a state carried in bfloat16 stops moving once its changes are
    below 1/256 of it.

    Args:
        cell: a package in ``asr_ligru.ops``, such as "ligru".
        wx: (D, B, T, G*H) normalised projection of the input, the reverse direction already reversed.
        u: (D or 1, G*H, H) recurrent weights; 1 when the directions share them.
        h0: (D, B, S) state before the first frame; S is H, or 2H for an LSTM (output and cell).
        mask: (D, B, H) scaled dropout mask of the candidate, or None.
        backend: "auto" or one of ``BACKENDS``.
        options: further keywords of the cell's ``reference.recurrence``.

    Returns:
        (D, B, T, S) states, float32 or float64.

    Raises:
        ConfigError: ``backend`` is unknown or cannot run this case; the message says why.
        ValueError: shapes do not fit together.
    """
    _check_shapes(wx, u, h0, mask)
    dtype = torch.promote_types(torch.promote_types(wx.dtype, u.dtype), torch.float32)
    wx, u, h0 = wx.to(dtype), u.to(dtype), h0.to(dtype)
    run = _choose(cell, backend, wx.device.type, dtype)
    with torch.autocast(wx.device.type, enabled=False):
        return run(wx, u, h0, None if mask is None else mask.to(dtype), **options)


def refusal(backend: str, cell: str, device: str, dtype: torch.dtype) -> str:
    """Return in words why ``backend`` cannot run ``cell`` there; empty when it can.

    Args:
        backend: one of ``BACKENDS``.
        cell: a package in ``asr_ligru.ops``.
        device: a torch device type, such as "cuda".
        dtype: of the state.
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
        return cast(str, importlib.import_module("asr_ligru.ops.fused_cpu").refusal())
    return ""


@functools.cache
def _choose(cell: str, backend: str, device: str, dtype: torch.dtype) -> Callable[..., Tensor]:
    """Return the implementation; logs the choice, once for each case."""
    if backend not in ("auto", *BACKENDS):
        raise ConfigError(f"unknown backend {backend!r}", fix=nearest(backend, ("auto", *BACKENDS)))
    candidates = _FASTEST_FIRST if backend == "auto" else (backend, "stepped") if backend == "cpu" else (backend,)
    reasons: list[str] = []
    for name in candidates:
        why_not = refusal(name, cell, device, dtype)
        if not why_not:
            because = f" ({'; '.join(reasons)})" if reasons else ""
            _log.info("%s on %s in %s runs with backend %s%s", cell, device, dtype, name, because)
            return cast(Callable[..., Tensor], importlib.import_module(f"asr_ligru.ops.{cell}.{name}").recurrence)
        reasons.append(why_not)
    raise ConfigError(f"cell.backend={backend} cannot run {cell}: {'; '.join(reasons)}", fix="use cell.backend=auto")


def _check_shapes(wx: Tensor, u: Tensor, h0: Tensor, mask: Tensor | None) -> None:
    directions, batch_size, _, width = wx.shape
    hidden_size = u.shape[-1]
    good = (
        u.shape in ((1, width, hidden_size), (directions, width, hidden_size))
        and h0.shape[:2] == (directions, batch_size)
        and h0.shape[2] % hidden_size == 0
        and (mask is None or mask.shape == (directions, batch_size, hidden_size))
    )
    if not good:
        got = [tuple(x.shape) for x in (wx, u, h0)] + [None if mask is None else tuple(mask.shape)]
        raise ValueError(f"wx, u, h0 and mask do not fit together: {got}")
