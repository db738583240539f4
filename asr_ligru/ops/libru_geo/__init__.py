"""The light Bayesian recurrent unit (LiBRU), geometric mean of probabilities."""
