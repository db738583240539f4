"""The stabilised light gated recurrent unit (SLi-GRU)."""
