"""GRU1: a gated recurrent unit whose gates do not see the input."""
