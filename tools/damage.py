"""Damages that files meet, drawn at random: what the fuzzing tools share."""

from __future__ import annotations

import math
import random
import struct

SIZES = tuple(struct.pack("<i", n) for n in (-(2**31), -1, 0, 1, 2**16, 2**24 + 1, 2**31 - 1))
SIZES_BIG_ENDIAN = tuple(struct.pack(">i", n) for n in (-1, 1, 2**24 + 1, 2**31 - 1))
FLOATS = tuple(struct.pack("<f", x) for x in (math.nan, math.inf, 3e38, -0.0, 1e-45))


def mutate(seeds: list[bytes], tokens: tuple[bytes, ...], draw: random.Random, head_bytes: int = 0) -> bytes:
    """Return one of ``seeds`` with one to four damages.

    Args:
        seeds: sound files.
        tokens: bytes that mean something to the reader, put in at random places.
        draw: where chance comes from.
        head_bytes: half of the damages begin within so many bytes from the start; 0 for anywhere.
    """
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        reach = min(len(data), head_bytes) if head_bytes and draw.random() < 0.5 else len(data)
        at = draw.randrange(reach + 1)
        to = draw.randrange(at, len(data) + 1)
        kind = draw.randrange(8)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[at if draw.random() < 0.5 else to :]
        elif kind == 2:
            del data[at : min(to, at + 40)]
        elif kind == 3:
            data[to:to] = data[at : min(to, at + 400)]
        elif kind == 4:
            other = draw.choice(seeds)
            data[at:] = other[draw.randrange(len(other)) :]
        elif kind == 5:
            data[at : at + 4] = draw.choice(SIZES + SIZES_BIG_ENDIAN + FLOATS)
        elif kind == 6:
            data[at:at] = draw.randbytes(draw.randrange(1, 9))
        else:
            token = draw.choice(tokens)
            data[at : at + draw.choice((0, len(token)))] = token
    return bytes(data)
