"""Recurrent layers and what surrounds them, as torch modules."""

from asr_ligru.nn.encoder import CELLS, build_encoder

__all__ = ["CELLS", "build_encoder"]
