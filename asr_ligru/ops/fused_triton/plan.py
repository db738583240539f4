"""How a recurrence is shared out over the programs of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

DEPTH = 16  # of K that one warp takes of a chunk, the least a tensor core wants
_MEETING_CYCLES = 2500  # what a frame costs beside its bytes and products, an estimate


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
        warps: of a program; the recurrent product's K is split over them.
        chunks: of K, each ``warps * DEPTH`` deep.
        together: groups of one launch that takes all frames; 0 when that is impossible and each frame is a launch.
    """

    rows: int
    units: int
    tiles: int
    warps: int
    chunks: int
    together: int

    @property
    def depth(self) -> int:
        """Return K, padded to whole chunks."""
        return self.chunks * self.warps * DEPTH

    @property
    def width(self) -> int:
        """Return the padded hidden size P: whole tiles and whole chunks."""
        return max(self.depth, -(-self.tiles * self.units // 16) * 16)


def plan(rows: int, own: int, hidden_size: int, dtype: torch.dtype, device: Device, parts: int) -> Plan | None:
    """Choose the tiles that take the least time by a rough count of cycles.

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
    half = dtype.itemsize < 4
    found: list[tuple[float, Plan]] = []
    for height, units in ((16, 16), (32, 16), (16, 32), (32, 32)) if half else ((8, 8), (16, 8), (16, 16)):
        tiles, chunks = -(-hidden_size // units), -(-hidden_size // (8 * DEPTH))
        groups, together = own * -(-rows // height), device.programs // tiles
        candidate = Plan(height, units, tiles, 8, chunks, together)
        if shared_bytes(candidate, dtype, parts) <= device.shared_bytes:
            products = height * units * 2 * candidate.depth / (512 if half else 100)
            cycles = _MEETING_CYCLES + parts * height * candidate.depth * dtype.itemsize / 64 + products
            launches = -(-groups // together) if together else 2.0 * groups * tiles / device.programs
            found.append((launches * cycles, candidate))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def shared_bytes(plan: Plan, dtype: torch.dtype, parts: int) -> int:
    """Return the shared memory that a program takes: its weights, and what it reads of the others in a frame."""
    return plan.depth * (2 * plan.units + parts * plan.rows) * dtype.itemsize
