"""How a recurrence is shared out over the programs of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

WARPS = 8  # of a program; each takes a slice of the recurrent product's K

# Rough costs in cycles of a multiprocessor: they only have to rank plans.
_MEETING_CYCLES = 2500
_CHUNK_CYCLES = 60
_LOADED_BYTES_PER_CYCLE = 64


@dataclass(frozen=True)
class Device:
    """What a GPU has.

    Attributes:
        programs: how many programs surely run at the same time: one for each multiprocessor.
        shared_bytes: shared memory of one program at most.
    """

    programs: int
    shared_bytes: int

    @classmethod
    def of(cls, device: torch.device) -> Device:
        """Describe ``device``. Where kernels are interpreted (on the CPU) programs run one after the other."""
        if device.type != "cuda":
            return cls(1, 1 << 40)
        found: Any = torch.cuda.get_device_properties(device)  # torch's stubs lack some of them
        return cls(found.multi_processor_count, found.shared_memory_per_block_optin)


@dataclass(frozen=True)
class Plan:
    """The tiles of a kernel.

    Attributes:
        rows: of a group, that is one tile.
        units: hidden units of one tile.
        tiles: programs that share out the hidden units of a group.
        depth: of a chunk of K, for each warp; at least the 16 that a tensor core wants.
        chunks: of K.
        together: groups of one launch that takes all frames; 0 when that is impossible and each frame is a launch.
    """

    rows: int
    units: int
    tiles: int
    depth: int
    chunks: int
    together: int

    @property
    def k(self) -> int:
        """Return K, the hidden size padded to whole chunks."""
        return self.chunks * WARPS * self.depth

    @property
    def width(self) -> int:
        """Return the padded hidden size P: whole tiles and whole chunks."""
        return max(self.k, -(-self.tiles * self.units // 16) * 16)

    def shared_bytes(self, dtype: torch.dtype, parts: int) -> int:
        """Return the shared memory that a program takes: its weights, and what it reads of the others in a frame."""
        return self.k * (2 * self.units + parts * self.rows) * dtype.itemsize

    def cycles(self, dtype: torch.dtype, parts: int) -> float:
        """Return about what a frame takes."""
        loaded = parts * self.rows * self.k * dtype.itemsize
        products = self.rows * 2 * self.units * self.k / (512 if dtype.itemsize < 4 else 100)
        return _MEETING_CYCLES + self.chunks * parts * _CHUNK_CYCLES + loaded / _LOADED_BYTES_PER_CYCLE + products


def plan(rows: int, own: int, hidden_size: int, dtype: torch.dtype, device: Device, parts: int) -> Plan | None:
    """Choose the tiles that take the least time by a rough count of cycles, of those that one launch can take if any.

    Args:
        rows: that share a recurrent matrix.
        own: how many such matrices there are.
        hidden_size: H.
        dtype: of the operands.
        device: what there is.
        parts: matrices of the exchange buffer that a program reads in a frame: 1 forward, 2 backward.

    Returns:
        The plan, or None where the recurrent weights of no tile fit into shared memory.
    """
    # Without tensor cores a thread holds its part of a chunk in registers: shallow chunks, or they spill.
    half = dtype.itemsize < 4
    shapes = ((16, 16), (32, 16), (16, 32), (32, 32)) if half else ((8, 8), (16, 8), (16, 16))
    depths = (16, 32, 64, 128) if half else (16,)
    found: list[tuple[float, Plan]] = []
    for height, units in shapes:
        tiles = -(-hidden_size // units)
        together = device.programs // tiles
        groups = own * -(-rows // height)
        launches = -(-groups // together) if together else 2.0 * groups * tiles / device.programs
        for depth in depths:
            candidate = Plan(height, units, tiles, depth, -(-hidden_size // (WARPS * depth)), together)
            if candidate.shared_bytes(dtype, parts) <= device.shared_bytes:
                found.append((launches * candidate.cycles(dtype, parts), candidate))
    return min(found, key=lambda pair: (pair[1].together == 0, pair[0]))[1] if found else None
