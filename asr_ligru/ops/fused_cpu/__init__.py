"""The compiled CPU core: small C loops without torch headers, loaded by ctypes, and autograd functions around them."""

from asr_ligru.ops.fused_cpu.library import refusal

__all__ = ["refusal"]
