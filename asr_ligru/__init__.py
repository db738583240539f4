"""Speech recognition around the light gated recurrent unit (LiGRU) and its Bayesian sibling (LiBRU)."""

__version__ = "0.1.0"
