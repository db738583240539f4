"""The compiled CPU recurrence: a small C core without torch headers, loaded by ctypes, and its autograd functions."""

from asr_ligru.ops.fused_cpu.library import refusal

__all__ = ["refusal"]
