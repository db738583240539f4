"""The unit-wise Bayesian recurrent unit (uBRU) with its backward smoother."""
