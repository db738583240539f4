"""The light Bayesian recurrent unit (LiBRU), arithmetic mean of probabilities: the exact form."""
