"""Speech recognition around the light gated recurrent unit (LiGRU) and its Bayesian sibling (LiBRU)."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["LiBRU", "LiGRU", "SLiGRU"]

if TYPE_CHECKING:
    from asr_ligru.nn.dropin import LiBRU, LiGRU, SLiGRU
else:

    def __getattr__(name: str) -> type:
        """Import what ``__all__`` names when it is asked for: importing this package alone does not import torch."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from asr_ligru.nn import dropin

        return getattr(dropin, name)
