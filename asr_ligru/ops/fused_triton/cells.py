"""The cells' equations for one frame: Triton functions on tiles of rows and units.

Formulas: docs/cells.md and asr_ligru/ops/<cell>/reference.py. Only ``tl.exp`` is used of the transcendental functions:
what the GPU offers for a logarithm is inaccurate near 1.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    """Return 1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def log1p_exp(x: tl.tensor) -> tl.tensor:
    """Return log(1 + exp(x)) for x <= 0, as 2 artanh(y / (2 + y)) with y = exp(x): the series' ninth term is < 2e-9."""
    y = tl.exp(x)
    s = y / (2.0 + y)
    q = s * s
    series = 1.0 / 11 + q * (1.0 / 13 + q * (1.0 / 15))
    series = 1.0 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9 + q * series))))
    return 2.0 * s * series


@triton.jit
def relu(x: tl.tensor) -> tl.tensor:
    """Return max(x, 0), and NaN for NaN."""
    return tl.where(x < 0.0, 0.0, x)


@triton.jit
def softplus(x: tl.tensor) -> tl.tensor:
    """Return log(1 + exp(x))."""
    return relu(x) + log1p_exp(-tl.abs(x))


@triton.jit
def log_add_exp(x: tl.tensor, y: tl.tensor) -> tl.tensor:
    """Return log(exp(x) + exp(y))."""
    return tl.where(x < y, y, x) + log1p_exp(-tl.abs(x - y))


@triton.jit
def advance(CELL: tl.constexpr, a: tl.tensor, g: tl.tensor, m: tl.tensor, h: tl.tensor) -> tl.tensor:
    """Return the next state.

    Args:
        CELL: name of the cell.
        a: pre-activation of the candidate.
        g: pre-activation of the keep gate.
        m: dropout mask of the candidate.
        h: the state before.
    """
    if CELL == "libru_arith":
        return -log_add_exp(-softplus(-g) - h, -softplus(g) - softplus(-a) * m)
    elif CELL == "libru_harm":
        return log_add_exp(h - softplus(-g), softplus(a) * m - softplus(g))
    elif CELL == "libru_geo":
        c = softplus(a) * m
        return c + sigmoid(g) * (h - c)
    else:
        c = relu(a) * m
        return c + sigmoid(g) * (h - c)


@triton.jit
def derivatives(CELL: tl.constexpr, a: tl.tensor, g: tl.tensor, m: tl.tensor, h: tl.tensor) -> tl.tuple:
    """Return what a state's gradient is multiplied with on its way to a, to g and to the state before.

    Args:
        CELL: name of the cell.
        a: pre-activation of the candidate.
        g: pre-activation of the keep gate.
        m: dropout mask of the candidate.
        h: the state before.
    """
    z = sigmoid(g)
    if CELL == "libru_arith":
        kept = sigmoid(g - h + softplus(-a) * m)  # the old state's share of the sum
        return (kept - 1.0) * sigmoid(-a) * m, z - kept, kept
    elif CELL == "libru_harm":
        kept = sigmoid(g + h - softplus(a) * m)
        return (1.0 - kept) * sigmoid(a) * m, kept - z, kept
    elif CELL == "libru_geo":
        return (1.0 - z) * sigmoid(a) * m, (h - softplus(a) * m) * z * (1.0 - z), z
    else:
        return tl.where(a > 0.0, (1.0 - z) * m, 0.0), (h - relu(a) * m) * z * (1.0 - z), z
