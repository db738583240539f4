"""Runs the kernels: buffers, grids, and the choice between one launch for all frames and one for each."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asr_ligru.ops.fused_triton.backward import backward
from asr_ligru.ops.fused_triton.forward import forward
from asr_ligru.ops.fused_triton.plan import WARPS, Device, plan
from asr_ligru.ops.fused_triton.support import precision
from asr_ligru.ops.fused_triton.tiles import COUNTER_STRIDE

# How often a program asks whether the others have arrived before it gives up: this takes seconds, a frame microseconds.
PATIENCE = 1 << 22

# No load is moved before the meeting it has to come after; a program has a multiprocessor and its registers to itself.
COMPILER_OPTIONS = {"num_stages": 1, "maxnreg": 255, "enable_fp_fusion": True}


@dataclass(frozen=True)
class Sequences:
    """Where utterances lie in tensors (N, D, units) over all their frames.

    Attributes:
        start: (B,) int64 first frame of each utterance.
        lens: (B,) int64 frames of each.
        num_frames: T, no less than the longest.
        reverse: whether direction 1 walks from the last frame to the first.
    """

    start: Tensor
    lens: Tensor
    num_frames: int
    reverse: bool


class Launch:
    """One kernel's tiles and buffers for some sequences.

    Args:
        cell: name of the cell.
        u: (own, 2H, H) recurrent weights in the type of the products' operands.
        directions: D.
        sequences: where the frames are.
        parts: matrices that programs exchange: 1 forward, 2 backward.

    Attributes:
        state: (own, rows, P) float32 zeros: what a tile carries from frame to frame.
        exchange: (2, parts, own, rows, P) zeros: what the programs tell each other, of this frame and the one before.
    """

    def __init__(self, cell: str, u: Tensor, directions: int, sequences: Sequences, parts: int) -> None:
        self.cell, self.sequences, self.directions = cell, sequences, directions
        self.hidden, self.batch, own = u.shape[2], len(sequences.lens), len(u)
        self.rows = directions * self.batch // own
        found = plan(self.rows, own, self.hidden, u.dtype, Device.of(u.device), parts)
        assert found is not None, "ask refusal() first"
        assert found.together or cell != "sligru", "ask refusal() first"
        self.plan = found
        self.groups = -(-self.rows // self.plan.rows)
        width, rows = self.plan.width, self.groups * self.plan.rows
        self.weights = u.new_zeros(own, 2, width, width)
        blocks = u.reshape(own, 2, self.hidden, self.hidden)
        self.weights[..., : self.hidden, : self.hidden] = blocks.mT if parts == 1 else blocks
        self.state = u.new_zeros(own, rows, width, dtype=torch.float32)
        self.exchange = u.new_zeros(2, parts, own, rows, width)
        self.partial = u.new_zeros(2, own * rows, self.plan.tiles, dtype=torch.float32)
        self._counters = u.new_zeros(own * self.groups, COUNTER_STRIDE.value, dtype=torch.int32)

    def put(self, x: Tensor) -> None:
        """Set the states (D, B, H) that the tiles begin with."""
        self.state[:, : self.rows, : self.hidden] = x.reshape(len(self.state), self.rows, self.hidden)

    def get(self) -> Tensor:
        """Return the states (D, B, H) that the tiles ended with."""
        rows = self.state[:, : self.rows, : self.hidden]
        return rows.reshape(self.directions, self.batch, self.hidden)

    def forward(self, **tensors: Any) -> None:
        """Run the forward kernel; ``tensors`` are those of its arguments that ``_arguments`` does not know."""
        self._run(forward, range(self.sequences.num_frames), h=self.state, **tensors)

    def backward(self, **tensors: Any) -> None:
        """Run the backward kernel, down to the state before the first frame."""
        frames = range(self.sequences.num_frames - 1, -2, -1)
        self._run(backward, frames, d_h=self.state, **tensors)

    def _run(self, kernel: Any, frames: range, **tensors: Any) -> None:
        if not frames:
            return
        arguments = {**self._arguments(), **tensors}
        groups, together = len(self.weights) * self.groups, self.plan.together
        device = self.weights.device
        with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
            if together == 0:
                for t in frames:
                    self._launch(kernel, groups, {**arguments, "first_group": 0, "t0": t, "t1": t + 1, "MEETS": False})
                return
            arguments |= {"t0": min(frames), "t1": max(frames) + 1, "MEETS": True}
            for first in range(0, groups, together):
                self._launch(kernel, min(together, groups - first), {**arguments, "first_group": first})

    def _launch(self, kernel: Any, groups: int, arguments: dict[str, Any]) -> None:
        # a cooperative launch fails where not all programs can run at the same time, instead of waiting forever
        options = {"num_warps": WARPS, "launch_cooperative_grid": arguments["MEETS"], **COMPILER_OPTIONS}
        kernel[self.plan.tiles, groups](**arguments, **options)

    def _arguments(self) -> dict[str, Any]:
        return {
            "u": self.weights,
            "exchange": self.exchange,
            "partial": self.partial,
            "counters": self._counters,
            "start": self.sequences.start,
            "lens": self.sequences.lens,
            "own": len(self.weights),
            "batch": self.batch,
            "directions": self.directions,
            "hidden": self.hidden,
            "width": self.plan.width,
            "patience": PATIENCE,
            "CELL": self.cell,
            "REVERSED": self.sequences.reverse,
            "PRECISION": precision(self.weights.dtype),
            "TILES": self.plan.tiles,
            "ROWS": self.plan.rows,
            "UNITS": self.plan.units,
            "CHUNKS": self.plan.chunks,
            "DEPTH": self.plan.depth,
        }
