"""The recurrence on a GPU: Triton kernels whose programs share out the hidden units and meet once a frame.

Nothing here imports Triton before a kernel is run; ``refusal`` says whether one can be.
"""

from asr_ligru.ops.fused_triton.support import refusal

__all__ = ["refusal"]
