"""The gated recurrent unit (GRU) over a normalised feed-forward projection."""
