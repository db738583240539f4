"""Speech recognition around the light gated recurrent unit (LiGRU) and its Bayesian sibling (LiBRU)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["LiBRU", "LiGRU", "SLiGRU", "load_model"]

if TYPE_CHECKING:
    from asr_ligru.decode.recognizer import load_model
    from asr_ligru.nn.dropin import LiBRU, LiGRU, SLiGRU
else:

    def __getattr__(name: str) -> Any:
        """Import what ``__all__`` names when it is asked for: importing this package alone does not import torch."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "load_model":
            from asr_ligru.decode import recognizer as home
        else:
            from asr_ligru.nn import dropin as home
        return getattr(home, name)
