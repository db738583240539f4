"""The forward kernel: all frames of a tile's rows in one launch, or one frame a launch."""

from __future__ import annotations

import triton
import triton.language as tl

from asr_ligru.ops.fused_triton.cells import advance
from asr_ligru.ops.fused_triton.tiles import (
    CHANGING,
    COUNTER_STRIDE,
    arrive,
    dropout,
    load_exchanged,
    load_inputs,
    load_weights,
    meet,
    products,
    row_table,
    store_pair,
    sum_of_tiles,
)


@triton.jit(do_not_specialize=CHANGING)
def forward(
    wx: tl.tensor,  # (frames, D or 1, 2H)
    wx_directions: tl.tensor,  # D or 1
    u: tl.tensor,  # (own, 2, P, P) padded, each matrix transposed
    h: tl.tensor,  # (rows, P) float32: the state before the first frame, replaced by the one after the last
    exchange: tl.tensor,  # (2, rows, P): the state before the first frame, and room
    out: tl.tensor,  # (frames, D, H)
    saved: tl.tensor,  # (frames, D, 3H): a and g (of an SLi-GRU the product instead), and the state before; or None
    mask: tl.tensor,  # (D, B, H), or None
    partial: tl.tensor,  # (2, rows, TILES) float32: sums of squares of each tile's product, SLi-GRU only
    scale: tl.tensor,  # (frames, D) float32: 1 / standard deviation of the product, SLi-GRU only
    eps: tl.tensor,
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
    """Take the frames t0 to t1 - 1 of ROWS rows by UNITS units; programs are (TILES, groups)."""
    tile, group = tl.program_id(0), tl.program_id(1) + first_group
    counter = counters + group * COUNTER_STRIDE
    row, d, first, step, length, matrix, rows = row_table(group, own, batch, directions, start, lens, REVERSED, ROWS)
    unit = tile * UNITS + tl.arange(0, UNITS)[None, :]
    place = group * ROWS + tl.arange(0, ROWS)[:, None]
    w_a, w_g = load_weights(u, matrix, width, unit, CHUNKS, DEPTH)
    state = tl.load(h + place * width + unit)
    m = dropout(mask, row, unit, hidden)
    met = 0
    for t in tl.range(t0, tl.minimum(t1, tl.max(length)), num_stages=1):
        here = (t < length) & (unit < hidden)
        frame = first + t * step
        states = frame * directions + d
        x_a, x_g = load_inputs(wx, wx_directions, frame, d, unit, hidden, here)
        patience = meet(counter, met, patience, MEETS)
        fed = load_exchanged(exchange + (t % 2) * rows * width, group * ROWS, width, ROWS, CHUNKS, DEPTH)
        a, g = products(fed, w_a, w_g, CHUNKS, ROWS, UNITS, PRECISION)
        if CELL == "sligru":
            tl.store(partial + place * TILES + tile, tl.sum(a * a + g * g, axis=1)[:, None])
            arrive(counter, MEETS)
            met += TILES
            patience = meet(counter, met, patience, MEETS)
            rstd = 1.0 / tl.sqrt(sum_of_tiles(partial, place, TILES) / (2.0 * hidden) + eps)
            if saved is not None:
                store_pair(saved + states * 3 * hidden + unit, hidden, a, g, here)
                if tile == 0:
                    tl.store(scale + states, rstd, mask=t < length)
            a, g = a * rstd, g * rstd
        a, g = a + x_a, g + x_g
        new = tl.where(patience > 0, advance(CELL, a, g, m, state), float("nan"))
        after = tl.where(t < length, new, state)
        told = exchange + (((t + 1) % 2) * rows + place) * width + unit
        tl.store(told, after.to(exchange.dtype.element_ty))
        arrive(counter, MEETS)
        met += TILES
        tl.store(out + states * hidden + unit, after, mask=here)
        if saved is not None:
            if CELL != "sligru":
                store_pair(saved + states * 3 * hidden + unit, hidden, a, g, here)
            tl.store(saved + (states * 3 + 2) * hidden + unit, state.to(saved.dtype.element_ty), mask=here)
        state = after
    tl.store(h + place * width + unit, state)
