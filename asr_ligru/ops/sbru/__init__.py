"""The simple Bayesian recurrent unit (sBRU)."""
