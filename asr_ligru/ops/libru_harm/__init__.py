"""The light Bayesian recurrent unit (LiBRU), harmonic mean of probabilities."""
