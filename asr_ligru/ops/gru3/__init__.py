"""GRU3: a gated recurrent unit whose gates are constants."""
