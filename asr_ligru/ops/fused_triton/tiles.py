"""What forward and backward share inside a kernel: where rows stand, recurrent weights on chip, and the meeting.

A program owns a tile: ROWS rows (a row is one direction of one utterance) by UNITS hidden units. Its share of the
recurrent weights stays on chip; what other programs have to know of a tile goes through the exchange buffer once a
frame. The product is split along its K dimension over the warps: tensors have a leading SPLIT dimension, one slice a
warp, so that no warp waits for a chain of K products.
"""

from __future__ import annotations

import triton
import triton.language as tl

from asr_ligru.ops.fused_triton.plan import WARPS

# Arguments whose value is no reason to compile a kernel again.
CHANGING = ["first_group", "batch", "t0", "t1", "patience"]

COUNTER_STRIDE = tl.constexpr(32)  # int32 from one counter to the next, which so is in another cache line
SPLIT = tl.constexpr(WARPS)  # slices of K, one for each warp


@triton.jit
def row_table(
    group: tl.tensor,
    own: tl.tensor,
    batch: tl.tensor,
    directions: tl.tensor,
    start: tl.tensor,
    lens: tl.tensor,
    REVERSED: tl.constexpr,
    ROWS: tl.constexpr,
) -> tl.tuple:
    """Return, each (ROWS, 1): number, direction, first frame, step to the next one, and length of a group's rows.

    Also the number of the group's weight matrix, and how many rows all groups have. Rows of a group share their
    matrix; the last group of a matrix may not be full, and a row that is not there has length 0.
    """
    rows = directions * batch // own
    groups = (rows + ROWS - 1) // ROWS
    matrix = group // groups
    within = (group % groups) * ROWS + tl.arange(0, ROWS)[:, None]
    there = within < rows
    row = tl.where(there, matrix * rows + within, 0)
    direction, utterance = row // batch, row % batch
    length = tl.load(lens + utterance, mask=there, other=0).to(tl.int32)
    first = tl.load(start + utterance)
    step = 1 + 0 * direction
    if REVERSED:
        step = 1 - 2 * direction
        first = tl.where(direction == 1, first + length - 1, first)
    return row, direction, first, step, length, matrix, own * groups * ROWS


@triton.jit
def dropout(mask: tl.tensor, row: tl.tensor, unit: tl.tensor, hidden: tl.tensor) -> tl.tensor:
    """Return the tile of the mask (D * B, H), or 1 where there is none."""
    if mask is None:
        return 1.0
    else:
        return tl.load(mask + row * hidden + unit, mask=unit < hidden, other=0.0).to(tl.float32)


@triton.jit
def load_pair(pointer: tl.tensor, distance: tl.tensor, here: tl.tensor) -> tl.tuple:
    """Return two tiles as float32, 0 where they are not ``here``."""
    x = tl.load(pointer, mask=here, other=0.0).to(tl.float32)
    return x, tl.load(pointer + distance, mask=here, other=0.0).to(tl.float32)


@triton.jit
def load_inputs(
    wx: tl.tensor,
    wx_directions: tl.tensor,
    frame: tl.tensor,
    direction: tl.tensor,
    unit: tl.tensor,
    hidden: tl.tensor,
    here: tl.tensor,
) -> tl.tuple:
    """Return candidate and gate of the projection (frames, wx_directions, 2H), which directions may share."""
    place = frame * wx_directions + direction % wx_directions
    return load_pair(wx + place * 2 * hidden + unit, hidden, here)


@triton.jit
def store_pair(pointer: tl.tensor, distance: tl.tensor, x: tl.tensor, y: tl.tensor, here: tl.tensor) -> None:
    """Write two tiles in the pointer's type, everywhere if ``here`` is None."""
    tl.store(pointer, x.to(pointer.dtype.element_ty), mask=here)
    tl.store(pointer + distance, y.to(pointer.dtype.element_ty), mask=here)


@triton.jit
def load_weights(
    u: tl.tensor,
    matrix: tl.tensor,
    width: tl.tensor,
    unit: tl.tensor,
    CHUNKS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> tl.tuple:
    """Return the tile's columns of candidate and gate, two tuples of (SPLIT, DEPTH, UNITS) for each chunk of K.

    Args:
        u: (own, 2, K, width) padded.
        matrix: which of the own.
        width: P, of K too.
        unit: (1, UNITS).
    """
    k = tl.arange(0, SPLIT)[:, None, None] * DEPTH + tl.arange(0, DEPTH)[None, :, None]
    at = u + (matrix * 2 * width + k) * width + unit[None, :, :]
    a, g = (), ()
    for c in tl.static_range(CHUNKS):
        a = a + (tl.load(at + c * SPLIT * DEPTH * width),)  # noqa: RUF005 (Triton has no unpacking)
        g = g + (tl.load(at + width * width + c * SPLIT * DEPTH * width),)  # noqa: RUF005
    return a, g


@triton.jit
def load_exchanged(
    exchange: tl.tensor,
    place: tl.tensor,
    width: tl.tensor,
    ROWS: tl.constexpr,
    CHUNKS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> tl.tuple:
    """Return what all programs wrote of the group's rows, (SPLIT, ROWS, DEPTH) for each chunk of K.

    Args:
        exchange: (rows, width) padded.
        place: number of the group's first row in it.
        width: K, padded.
    """
    row = place + tl.arange(0, ROWS)[None, :, None]
    k = tl.arange(0, SPLIT)[:, None, None] * DEPTH + tl.arange(0, DEPTH)[None, None, :]
    chunks = ()
    for c in tl.static_range(CHUNKS):
        # .cg: other programs wrote this, and the first cache is not told
        chunks = chunks + (  # noqa: RUF005
            tl.load(exchange + row * width + k + c * SPLIT * DEPTH, cache_modifier=".cg"),
        )
    if CHUNKS > 1:
        tl.debug_barrier()  # all loads are under way before the first product waits for its own
    return chunks


@triton.jit
def products(
    x: tl.tuple,
    w: tl.tuple,
    v: tl.tuple,
    CHUNKS: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    PRECISION: tl.constexpr,
) -> tl.tuple:
    """Return x @ w and x @ v, (ROWS, UNITS) float32 each, of chunks of K; none of x waits in registers for v."""
    first, second = tl.full([SPLIT, ROWS, UNITS], 0.0, tl.float32), tl.full([SPLIT, ROWS, UNITS], 0.0, tl.float32)
    for c in tl.static_range(CHUNKS):
        first = tl.dot(x[c], w[c], first, input_precision=PRECISION)
        second = tl.dot(x[c], v[c], second, input_precision=PRECISION)
    return tl.sum(first, axis=0), tl.sum(second, axis=0)


@triton.jit
def product(
    x: tl.tuple,
    w: tl.tuple,
    CHUNKS: tl.constexpr,
    ROWS: tl.constexpr,
    UNITS: tl.constexpr,
    PRECISION: tl.constexpr,
) -> tl.tensor:
    """Return x @ w, (ROWS, UNITS) float32, of chunks of K."""
    total = tl.full([SPLIT, ROWS, UNITS], 0.0, tl.float32)
    for c in tl.static_range(CHUNKS):
        total = tl.dot(x[c], w[c], total, input_precision=PRECISION)
    return tl.sum(total, axis=0)


@triton.jit
def sum_of_tiles(parts: tl.tensor, place: tl.tensor, TILES: tl.constexpr) -> tl.tensor:
    """Return (ROWS, 1), what the programs of a group wrote to (rows, TILES) added up."""
    peer = tl.arange(0, triton.next_power_of_2(TILES))[None, :]
    each = tl.load(parts + place * TILES + peer, mask=peer < TILES, other=0.0, cache_modifier=".cg")
    return tl.sum(each, axis=1)[:, None]


@triton.jit
def arrive(counter: tl.tensor, MEETS: tl.constexpr) -> None:
    """Say that what this program has stored so far can be read, where anybody waits for it."""
    if MEETS:
        tl.debug_barrier()
        tl.atomic_add(counter, 1, sem="release")


@triton.jit
def meet(counter: tl.tensor, target: tl.tensor, patience: tl.tensor, MEETS: tl.constexpr) -> tl.tensor:
    """Wait until ``target`` programs have arrived; return the patience left: 0 once it has run out.

    All programs of a launch run at the same time, so nobody waits in vain. Should that ever fail, the patience of a
    few seconds ends the wait, the states become NaN and the kernel ends. Without MEETS a launch is one frame.
    """
    if MEETS:
        seen = tl.atomic_add(counter, 0, sem="acquire")
        polls = 0
        while (seen < target) & (polls < patience):
            seen = tl.atomic_add(counter, 0, sem="acquire")
            polls += 1
        patience = tl.where(seen < target, 0, patience)
    return patience
