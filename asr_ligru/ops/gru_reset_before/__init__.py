"""The gated recurrent unit (GRU) with its reset gate before U."""
