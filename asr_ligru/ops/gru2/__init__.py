"""GRU2: a gated recurrent unit whose gates see the state alone."""
