"""M-GRU: a gated recurrent unit without reset gate."""
