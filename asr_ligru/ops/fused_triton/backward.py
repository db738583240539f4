"""The backward kernel: gradients from the last frame of a tile's rows to the state before the first."""

from __future__ import annotations

import triton
import triton.language as tl

from asr_ligru.ops.fused_triton.cells import derivatives
from asr_ligru.ops.fused_triton.tiles import (
    CHANGING,
    COUNTER_STRIDE,
    arrive,
    dropout,
    load_exchanged,
    load_inputs,
    load_pair,
    load_weights,
    meet,
    product,
    row_table,
    store_pair,
    sum_of_tiles,
)


@triton.jit(do_not_specialize=CHANGING)
def backward(
    wx: tl.tensor,  # as in forward; SLi-GRU only
    wx_directions: tl.tensor,
    u: tl.tensor,  # (own, 2, P, P) padded
    d_h: tl.tensor,  # (rows, P) float32 zeros, replaced by the gradient of the state before the first frame
    exchange: tl.tensor,  # (2, 2, rows, P) zeros: gradients of a and g of the frame behind
    grad: tl.tensor,  # (frames, D, H)
    d_wx: tl.tensor,  # (frames, D, 2H)
    saved: tl.tensor,  # (frames, D, 3H) of the forward kernel
    mask: tl.tensor,  # (D, B, H), or None
    partial: tl.tensor,  # (2, rows, TILES) float32 zeros: each tile's mean of d x, SLi-GRU only
    scale: tl.tensor,  # (frames, D) float32 of the forward kernel, SLi-GRU only
    along: tl.tensor,  # (frames, D, H) the normalised product times the weights, SLi-GRU only
    counters: tl.tensor,  # (groups, COUNTER_STRIDE) int32 zeros
    start: tl.tensor,  # (B,) int64 first frame of each utterance
    lens: tl.tensor,  # (B,) int64 frames of each
    first_group: tl.tensor,
    own: tl.tensor,  # weight matrices
    batch: tl.tensor,
    directions: tl.tensor,
    hidden: tl.tensor,
    width: tl.tensor,  # P
    t0: tl.tensor,
    t1: tl.tensor,
    patience: tl.tensor,
    CELL: tl.constexpr,
    REVERSED: tl.constexpr,
    MEETS: tl.constexpr,
    PRECISION: tl.constexpr,
    TILES: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    CHUNKS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    """Take the frames t1 - 1 down to t0, of which -1 is the state before the first; programs as in forward."""
    tile, group = tl.program_id(0), tl.program_id(1) + first_group
    counter = counters + group * COUNTER_STRIDE
    row, d, first, step, length, matrix, rows = row_table(group, own, batch, directions, start, lens, REVERSED, ROWS)
    unit = tile * UNITS + tl.arange(0, UNITS)[None, :]
    place = group * ROWS + tl.arange(0, ROWS)[:, None]
    w_a, w_g = load_weights(u, matrix, width, unit, CHUNKS, DEPTH)
    carried, m = tl.load(d_h + place * width + unit), dropout(mask, row, unit, hidden)
    met, end = 0, tl.minimum(t1, tl.max(length))
    for back in tl.range(0, end - t0, num_stages=1):
        t = end - 1 - back
        valid = t < tl.where(t < 0, -1, length)
        here = valid & (unit < hidden)
        frame = first + t * step
        states = frame * directions + d
        v_a, v_g = load_pair(saved + states * 3 * hidden + unit, hidden, here)
        before = tl.load(saved + (states * 3 + 2) * hidden + unit, mask=here, other=0.0).to(tl.float32)
        arriving = tl.load(grad + states * hidden + unit, mask=here, other=0.0)
        a, g, rstd = v_a, v_g, 1.0
        if CELL == "sligru":
            rstd = tl.load(scale + states, mask=valid, other=0.0)
            x_a, x_g = load_inputs(wx, wx_directions, frame, d, unit, hidden, here)
            a, g = v_a * rstd + x_a, v_g * rstd + x_g
            behind = (t + 1 < length) & (unit < hidden)
            y = tl.load(along + (states + step * directions) * hidden + unit, mask=behind, other=0.0)
        k_a, k_g, k_h = derivatives(CELL, a, g, m, before)
        patience = meet(counter, met, patience, MEETS)
        source = exchange + ((t + 1) % 2) * 2 * rows * width
        fed_a = load_exchanged(source, group * ROWS, width, ROWS, CHUNKS, DEPTH)
        fed_g = load_exchanged(source + rows * width, group * ROWS, width, ROWS, CHUNKS, DEPTH)
        arriving += product(fed_a + fed_g, w_a + w_g, 2 * CHUNKS, ROWS, UNITS, PRECISION)
        if CELL == "sligru":
            arriving -= y * sum_of_tiles(partial + ((t + 1) % 2) * rows * TILES, place, TILES)
        d_state = tl.where(patience > 0, carried + arriving, float("nan"))
        carried = tl.where(here, d_state * k_h, d_state)
        d_a, d_g = tl.where(here, d_state * k_a, 0.0), tl.where(here, d_state * k_g, 0.0)
        if CELL == "sligru":
            slope = tl.sum(d_a * v_a + d_g * v_g, axis=1)[:, None] * rstd * rstd / (2.0 * hidden)
            tl.store(partial + (((t + 2) % 2) * rows + place) * TILES + tile, slope)
        told = exchange + (((t + 2) % 2) * 2 * rows + place) * width + unit
        store_pair(told, rows * width, d_a * rstd, d_g * rstd, None)
        arrive(counter, MEETS)
        met += TILES
        store_pair(d_wx + states * 2 * hidden + unit, hidden, d_a, d_g, here)
    tl.store(d_h + place * width + unit, carried)
