"""The light gated recurrent unit (LiGRU)."""
